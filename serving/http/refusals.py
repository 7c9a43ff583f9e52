"""Every field that we know and do not honour, and the values of it that ask for nothing.

A field that stands here with such a value (null always is one) is as good as absent, so clients
that send their defaults are served; with any other value it is refused by name. Never ignored.
"""

from __future__ import annotations

from serving.http.strict import Refused

# vLLM's extras that change the answer in ways we do not offer.
VLLM_REFUSED: Refused = {
    "add_special_tokens": (True,),
    "allowed_token_ids": (),
    "bad_words": ([],),
    "best_of": (),
    "cache_salt": (),
    "detokenize": (True,),
    "early_stopping": (False,),
    "guided_choice": (),
    "guided_decoding_backend": (),
    "guided_grammar": (),
    "guided_json": (),
    "guided_regex": (),
    "guided_whitespace_pattern": (),
    "kv_transfer_params": (),
    "length_penalty": (1,),
    "logits_processors": ([],),
    "priority": (0,),
    "prompt_logprobs": (),
    "repetition_detection": (),
    "request_id": (),  # the header x-request-id does this
    "return_token_ids": (False,),
    "return_tokens_as_token_ids": (False,),
    "spaces_between_special_tokens": (True,),
    "structured_outputs": (),
    "truncate_prompt_tokens": (),
    "use_beam_search": (False,),
    "vllm_xargs": (),
}
CHAT_REFUSED: Refused = {
    **VLLM_REFUSED,
    "add_generation_prompt": (True,),
    "audio": (),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "documents": ([],),
    "echo": (False,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "include_reasoning": (True,),
    "media_io_kwargs": ({},),
    "metadata": ({},),
    "mm_processor_kwargs": ({},),
    "modalities": (["text"],),
    "moderation": (),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "prompt_cache_key": (),
    "prompt_cache_options": (),
    "prompt_cache_retention": (),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "thinking_token_budget": (),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "verbosity": (),
    "web_search_options": (),
}
COMPLETION_REFUSED: Refused = {
    **VLLM_REFUSED,
    "prompt_embeds": (),
    "response_format": ({"type": "text"},),
    "suffix": ("",),
}
EMBEDDINGS_REFUSED: Refused = {
    "add_special_tokens": (True,),
    "cache_salt": (),
    "embed_dtype": ("float32",),
    "endianness": ("native", "little"),
    "messages": (),
    "mm_processor_kwargs": ({},),
    "normalize": (),  # the model's own config decides
    "padding": ("do_not_pad",),
    "priority": (0,),
    "request_id": (),
    "truncation_side": ("right",),
    "use_activation": (),
}
# Clients send an assistant's message back as they got it, empty fields and all.
MESSAGE_REFUSED: Refused = {
    "annotations": ([],),
    "audio": (),
    "function_call": (),
    "reasoning": (),
    "reasoning_content": (),
    "refusal": (),
    "tool_call_id": (),
    "tool_calls": ([],),
}
STREAM_OPTIONS_REFUSED: Refused = {
    "continuous_usage_stats": (False,),
    "include_obfuscation": (False,),
}
# What the seeds of POST /generate and POST / took besides, and what has no place in their answers.
LEGACY_REFUSED: Refused = {
    **VLLM_REFUSED,
    "filters": ([],),
    "logprobs": (),
    "mirostat": (False,),
    "tfs": (0,),
    "top_a": (0,),
    "typical": (0,),
}
