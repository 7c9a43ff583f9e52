"""Small tokenizers of the kinds that checkpoints bring, trained on a few sentences."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

SENTENCES = [
    "The old house by the river had seven windows and a green door.",
    "Every morning the baker carried warm bread across the market square.",
    "When the rain stopped, children ran into the garden and the dog followed them.",
    "A long train of wagons went slowly over the bridge towards the mountains.",
    "She wrote three letters, read two of them again, and burnt the last one.",
] * 4


def save(tokenizer: Tokenizer, folder: Path) -> str:
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder)


def byte_level_bpe(folder: Path) -> str:
    """As GPT-2, Qwen and Llama 3 have."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return save(tokenizer, folder)


def metaspace_bpe(folder: Path) -> str:
    """As Llama 2 and Mistral have: a token begins every text."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<unk>", "<s>"], show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return save(tokenizer, folder)


def padded_wordpiece(folder: Path) -> str:
    """As BERT has, with texts cut and filled to one length as sentence-transformers do."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=["[UNK]", "[PAD]"], show_progress=False
    )
    tokenizer.train_from_iterator([*SENTENCES, "[unused1]"], trainer)
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(pad_id=1, pad_token="[PAD]", length=16)
    return save(tokenizer, folder)


def letters_only(folder: Path) -> str:
    """No word of it is one token: as far from a checkpoint's as one can be."""
    vocabulary = {chr(code): place for place, code in enumerate(range(32, 127))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    return save(tokenizer, folder)


def words(folder: Path, vocabulary: dict[str, int]) -> str:
    """Every word is a token, these and no others."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="word"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return save(tokenizer, folder)


KINDS = {
    "byte-level BPE": byte_level_bpe,
    "metaspace BPE": metaspace_bpe,
    "padded WordPiece": padded_wordpiece,
}
