"""The text anynode-demo is trained on and judged by, generated from seeds: standard library only.

Read in this order: `intents` (what a question is), one module for each skill (`capitals`,
`numbers`, `dates`, `about`, `unknown`), `noise` (how people type), `chat` (the format),
`documents` (drawing from all of it).
"""

from .chat import CHAT_TEMPLATE, END, PAD, SPECIAL_TOKENS, START, Document, Message, Span, render
from .documents import (
    held_out_questions,
    questions_by_category,
    tokenizer_texts,
    training_documents,
)
from .intents import Question

__all__ = [
    "CHAT_TEMPLATE",
    "Document",
    "END",
    "Message",
    "PAD",
    "Question",
    "SPECIAL_TOKENS",
    "START",
    "Span",
    "held_out_questions",
    "questions_by_category",
    "render",
    "tokenizer_texts",
    "training_documents",
]
