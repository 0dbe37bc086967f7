"""The style sheet of the frames of a playback."""

from __future__ import annotations

from .. import theme


def sheet(own: str) -> str:
    """Colours of the light and the dark theme, for the picture with this id alone."""
    at = f"#{own} "

    def rules(dark: int) -> str:
        def c(role: str) -> str:
            return theme.COLOURS[role][dark]

        each = {
            ".paper": f"fill:{c('paper')}",
            ".heading,.title,.equation,.more,.n": f"fill:{c('ink')}",
            ".note,.law,.small,.label,.cross,.n.blocked": f"fill:{c('muted')}",
            ".head,.under": f"fill:{c('on-header')}",
            ".card": f"fill:{c('card')}",
            ".panel": f"fill:{c('card')};stroke:{c('ramp5')}",
            ".now,.told": f"stroke:{c('ramp5')}",
            "rect.v": f"fill:{c('card')};stroke:{c('border')}",
            "rect.empty": f"stroke:{c('border')}",
            "rect.new": f"fill:{c('foot')};stroke:{c('ink')}",
            "rect.blocked": f"fill:{c('foot')};stroke:{c('border')}",
            "rect.winner": f"stroke:{c('ink')}",
            ".n.g,.label.gradient": f"fill:{c('ramp3')}",
            ".n.zero": f"fill:{c('muted')}",
            "rect.g,rect.gnew": f"stroke:{c('ramp3')}",
            "rect.gnew": f"fill:{c('ramp3')}",
            "rect.zero": f"stroke:{c('border')}",
            ".line path": f"stroke:{c('data')}",
            ".line polygon": f"fill:{c('data')}",
            ".down path": f"stroke:{c('ink')}",
            ".down polygon": f"fill:{c('ink')}",
            ".up path,.back path": f"stroke:{c('ramp3')}",
            ".up polygon,.back polygon": f"fill:{c('ramp3')}",
        }
        for style in (*theme.STYLES, "leaf"):
            each[f".f-{style}"] = f"fill:{c(style)}"
            each[f".s-{style}"] = f"stroke:{c(style)}"
        return "".join(
            ",".join(at + one for one in names.split(",")) + f"{{{rule}}}"
            for names, rule in each.items()
        )

    fixed = {
        "text": f"font-family:{theme.FAMILY};font-size:13px",
        "text.heading": "font-weight:700;font-size:20px",
        "text.title": "font-weight:700;font-size:15px",
        "text.n,text.head,text.under": "text-anchor:middle",
        "text.label,text.cross": "text-anchor:end",
        "text.head": "font-weight:700;font-size:14px",
        "text.under,text.small,text.cross": "font-size:11px",
        "text.note": "font-size:12px",
        ".n.new,.n.gnew": "font-weight:700",
        ".now": "fill:none;stroke-width:3",
        ".told": "fill:none;stroke-width:2",
        ".panel": "stroke-width:1.5",
        ".empty": "fill:none;stroke-dasharray:3 3",
        "rect.new,rect.gnew": "stroke-width:1.8",
        "rect.gnew": "fill-opacity:.12",
        "rect.g": "fill:none",
        "rect.winner": "stroke-width:3.5",
        ".line path": "fill:none;stroke-width:1.5",
        ".wait path": "stroke-dasharray:2 4",
        ".down path,.up path": "stroke-width:4",
        ".back path": "stroke-width:2",
        ".off": "display:none",
    }
    sheet = "".join(
        ",".join(at + one for one in names.split(",")) + f"{{{rule}}}"
        for names, rule in fixed.items()
    )
    return (
        f"#{own}{{max-width:100%;height:auto}}{sheet}{rules(0)}"
        f"@media (prefers-color-scheme:dark){{{rules(1)}}}"
    )
