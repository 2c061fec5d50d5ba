"""The *Use it* tab: how a program asks the same endpoint, filled in with its address, its model and a message.

Not covered: the programs themselves (`code_examples`).
"""

from collections.abc import Sequence

from llmtl.playground.code_examples import KEY_VARIABLE, code_examples
from llmtl.playground.page_content import PlaygroundContent, TestRow
from llmtl.playground.pages import html, render

SOME_MESSAGE = "Write your message here."
USUAL_CHARACTERS = 40
_COPY = """
element.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const code = button.closest('section').querySelector('code');
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    if (!document.execCommand('copy')) return;
  }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
});
"""
"""Over plain HTTP from another machine a page has no secure context: there the clipboard is reached the old way."""


def build_use(content: PlaygroundContent) -> None:
    """Lay the tab out in the current Gradio context."""
    html(use_page(content), js_on_load=_COPY, elem_id="use")


def use_page(content: PlaygroundContent) -> str:
    """Write the programs, and the names of everything that is served."""
    task, key = content.task, content.api_key is not None
    return render(
        "use",
        task=task,
        titled=content.titled,
        base_url=content.base_url,
        key=KEY_VARIABLE if key else "",
        examples=code_examples(content.base_url, task.model, example_message(content.rows), has_key=key),
        others=[served for served in task.strategies if served.model != task.model],
    )


def example_message(rows: Sequence[TestRow]) -> str:
    """Pick a message of one line and usual length; a stand-in where there is none."""
    usable = [row.text for row in rows if "\n" not in row.text and row.right] or [row.text for row in rows]
    return min(usable, key=lambda text: (abs(len(text) - USUAL_CHARACTERS), text), default=SOME_MESSAGE)
