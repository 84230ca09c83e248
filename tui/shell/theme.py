"""The app's own theme, which is the one it opens with."""

from textual.theme import Theme

LANTERN = Theme(
    name="lantern",
    primary="#5fb3c8",
    secondary="#8aa0c8",
    accent="#e0a458",
    foreground="#d6dae0",
    background="#11151a",
    surface="#171c23",
    panel="#1e252e",
    success="#7fb77e",
    warning="#e0a458",
    error="#e06c6c",
    dark=True,
    variables={
        "border": "#5fb3c8",
        "border-blurred": "#2b3440",
        "block-cursor-background": "#5fb3c8",
        "block-cursor-foreground": "#11151a",
        "block-cursor-text-style": "none",
        "input-selection-background": "#5fb3c8 35%",
        "footer-background": "#171c23",
        "footer-key-foreground": "#e0a458",
        "footer-description-foreground": "#9aa4b0",
        "scrollbar": "#2b3440",
        "scrollbar-hover": "#3b4656",
        "scrollbar-active": "#5fb3c8",
        "scrollbar-background": "#11151a",
        "scrollbar-corner-color": "#11151a",
    },
)
