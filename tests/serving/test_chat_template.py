"""A model's own chat template."""

from __future__ import annotations

import pytest

from serving.chat_template import ChatTemplate
from serving.errors import ConfigError, InvalidRequest
from serving.types import Message

TURNS = (Message("system", "Be brief."), Message("user", "1 < 2 & 'é'?"))


def render(source, turns=TURNS):
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>").render(turns)


def test_a_template_gets_messages_and_the_ends_of_text():
    source = (
        "{{ bos_token }}{% for message in messages %}\n"
        "    {{ message['role'] }}: {{ message.content }}{{ eos_token }}\n"
        "{% endfor %}\n"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    text = render(source)
    assert text.startswith("<s>")
    assert "user: 1 < 2 & 'é'?</s>" in text  # nothing is escaped
    assert text.endswith("assistant:")


def test_templates_may_break_loops_and_write_json():
    source = "{% for m in messages %}{{ m | tojson }}{% break %}{% endfor %}"
    assert render(source) == '{"role": "system", "content": "Be brief."}'


def test_what_a_template_refuses_is_the_callers_mistake():
    source = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(InvalidRequest, match="refuses these messages: roles must alternate"):
        render(source)
    with pytest.raises(InvalidRequest, match="refuses these messages"):
        render("{{ messages[7].content.upper() }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    ],
)
def test_a_template_reaches_nothing_but_its_messages(source):
    with pytest.raises(InvalidRequest):
        render(source)


def test_what_is_no_template_is_the_operators():
    with pytest.raises(ConfigError, match="chat template is not valid"):
        render("{% if %}")
