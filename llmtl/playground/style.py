"""Theme and style sheet of the playground: system fonts only, the report's colours, light and dark.

Not covered: layout, which the tabs decide.
"""

from importlib.resources import files

import gradio as gr

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


_ACCENT, _ACCENT_DARK = "#0b62a8", "#6cb6f0"
_KEYS = """
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || !event.target.closest?.('#message')) return;
  event.preventDefault();
  document.querySelector('#submit')?.click();
});
"""


def theme() -> gr.themes.Base:
    """Return the theme; its fonts are names of fonts that the visitor's system has, never files to fetch."""
    return gr.themes.Base(
        primary_hue="blue", neutral_hue="slate", radius_size="md", text_size="md", font=_SANS, font_mono=_MONO
    ).set(
        body_background_fill="#ffffff",
        body_background_fill_dark="#14171b",
        body_text_color="#16191d",
        body_text_color_dark="#e8eaed",
        body_text_color_subdued="#5a626d",
        body_text_color_subdued_dark="#a0a8b3",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#14171b",
        background_fill_secondary="#f5f6f8",
        background_fill_secondary_dark="#1c2026",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_color="*body_text_color",
        block_title_text_weight="600",
        border_color_primary="#d5d9de",
        border_color_primary_dark="#3a414a",
        border_color_accent=_ACCENT,
        color_accent=_ACCENT,
        input_background_fill="#ffffff",
        input_background_fill_dark="#1c2026",
        input_border_width="1px",
        input_border_width_dark="1px",
        input_border_color="#c3c9d0",
        input_border_color_dark="#4a525d",
        input_border_color_focus=_ACCENT,
        input_border_color_focus_dark=_ACCENT_DARK,
        checkbox_label_background_fill="#f5f6f8",
        checkbox_label_background_fill_dark="#1c2026",
        checkbox_label_background_fill_hover="#eef5fb",
        checkbox_label_background_fill_hover_dark="#1a2733",
        checkbox_label_background_fill_selected="#eef5fb",
        checkbox_label_background_fill_selected_dark="#1a2733",
        button_primary_background_fill=_ACCENT,
        button_primary_background_fill_hover="#094f88",
        button_primary_background_fill_dark=_ACCENT_DARK,
        button_primary_background_fill_hover_dark="#8cc6f4",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#0d1013",
        link_text_color=_ACCENT,
        link_text_color_dark=_ACCENT_DARK,
    )


def head() -> str:
    """Return what goes into the page's head: the style sheet, and Ctrl-Enter as a way to ask."""
    sheet = files("llmtl.playground").joinpath("style.css").read_text(encoding="utf-8")
    return f"<style>{sheet}</style><script>{_KEYS}</script>"
