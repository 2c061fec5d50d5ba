"""Theme and style sheet of the playground: system fonts only, the report's colours, light and dark.

Not covered: layout, which the tabs decide.
"""

from importlib.resources import files

import gradio as gr

from llmtl.report import palette

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

_PAGE, _PAGE_DARK = palette.COLOURS["page"]
_SOFT, _SOFT_DARK = palette.COLOURS["soft"]
_INK, _INK_DARK = palette.COLOURS["ink"]
_MUTED, _MUTED_DARK = palette.COLOURS["muted"]
_BAND, _BAND_DARK = palette.COLOURS["band"]
_ACCENT, _ACCENT_DARK = palette.COLOURS["accent"]
_ON_ACCENT, _ON_ACCENT_DARK = palette.COLOURS["strong-ink"]
_KEYS = """
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || !event.target.closest?.('#message')) return;
  event.preventDefault();
  document.querySelector('#submit')?.click();
});
"""
"""Ctrl-Enter asks."""
_TABS = """
document.addEventListener('keydown', (event) => {
  const tab = event.target.closest?.('[role="tab"]');
  if (!tab || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const all = [...tab.closest('[role="tablist"]').querySelectorAll('[role="tab"]:not([disabled])')];
  const at = all.indexOf(tab);
  const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const chosen = all.at(to % all.length);
  chosen.click();
  chosen.focus();
});
const tie = () => {
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    tab.tabIndex = tab.ariaSelected === 'true' ? 0 : -1;
    const panel = document.getElementById(tab.getAttribute('aria-controls'));
    if (tab.id && panel?.getAttribute('aria-labelledby') !== tab.id) panel?.setAttribute('aria-labelledby', tab.id);
  }
};
tie();
const watched = {subtree: true, childList: true, attributeFilter: ['aria-selected']};
new MutationObserver(tie).observe(document.documentElement, watched);
"""
"""Arrow keys, Home and End go from tab to tab, and the Tab key reaches the selected one alone: the pattern of the ARIA
Authoring Practices Guide for tabs (https://www.w3.org/WAI/ARIA/apg/patterns/tabs/)."""


def theme() -> gr.themes.Base:
    """Make the theme; its fonts are names of fonts that the visitor's system has, never files to fetch."""
    return gr.themes.Base(
        primary_hue="blue", neutral_hue="slate", radius_size="md", text_size="md", font=_SANS, font_mono=_MONO
    ).set(
        body_background_fill=_PAGE,
        body_background_fill_dark=_PAGE_DARK,
        body_text_color=_INK,
        body_text_color_dark=_INK_DARK,
        body_text_color_subdued=_MUTED,
        body_text_color_subdued_dark=_MUTED_DARK,
        background_fill_primary=_PAGE,
        background_fill_primary_dark=_PAGE_DARK,
        background_fill_secondary=_SOFT,
        background_fill_secondary_dark=_SOFT_DARK,
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
        input_background_fill=_PAGE,
        input_background_fill_dark=_SOFT_DARK,
        input_border_width="1px",
        input_border_width_dark="1px",
        input_border_color="#c3c9d0",
        input_border_color_dark="#4a525d",
        input_border_color_focus=_ACCENT,
        input_border_color_focus_dark=_ACCENT_DARK,
        checkbox_label_background_fill=_SOFT,
        checkbox_label_background_fill_dark=_SOFT_DARK,
        checkbox_label_background_fill_hover=_BAND,
        checkbox_label_background_fill_hover_dark=_BAND_DARK,
        checkbox_label_background_fill_selected=_BAND,
        checkbox_label_background_fill_selected_dark=_BAND_DARK,
        button_primary_background_fill=_ACCENT,
        button_primary_background_fill_hover="#094f88",
        button_primary_background_fill_dark=_ACCENT_DARK,
        button_primary_background_fill_hover_dark="#8cc6f4",
        button_primary_text_color=_ON_ACCENT,
        button_primary_text_color_dark=_ON_ACCENT_DARK,
        link_text_color=_ACCENT,
        link_text_color_dark=_ACCENT_DARK,
    )


def head() -> str:
    """Write what goes into the page's head: the style sheet, and what keys do."""
    colours = (
        f".gradio-container {{ {palette.properties()} }}\n"
        f".dark .gradio-container, .gradio-container.dark {{ {palette.properties(dark=True)} }}\n"
    )
    sheet = files("llmtl.playground").joinpath("style.css").read_text(encoding="utf-8")
    return f"<style>{colours}{palette.chart_rules()}{sheet}</style><script>{_KEYS}{_TABS}</script>"
