"""
Makes `chart.json`: a chart of 24 colours, coded by another program in the ways of video.

    pip install colour-science && python tests/sprite/chart/make.py

The colours are the ColorChecker's ("After November 2014") as the package colour-science carries them, brought
into sRGB. So are the codings: its matrices, ranges and curves of ITU-R BT.601, 709, 2020 and 2100, and the
way from BT.709 to BT.2020 of BT.2087 (display light, BT.1886). In high dynamic range the chart's white, were
there one of 100 %, has 203 cd/m² (BT.2408). Made with colour-science 0.4.7.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import colour  # type: ignore[import-not-found,unused-ignore]
import numpy as np

OUTPUT = Path(__file__).with_name("chart.json")
_WHITE_NITS = 203
_SRGB = colour.RGB_COLOURSPACES["sRGB"]
_BT2020 = colour.RGB_COLOURSPACES["ITU-R BT.2020"]
_D65 = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]


def main() -> None:
    """Write the chart: each colour's name, sRGB (0 to 255) and CIE Lab, and its samples in each coding."""
    chart = colour.CCS_COLOURCHECKERS["ColorChecker24 - After November 2014"]
    xyz = colour.xyY_to_XYZ(np.array(list(chart.data.values())))
    linear = np.clip(colour.XYZ_to_RGB(xyz, _SRGB, chart.illuminant, "CAT02"), 0, 1)
    srgb = colour.cctf_encoding(linear, function="sRGB")
    wide = colour.RGB_to_RGB(colour.eotf(srgb, function="ITU-R BT.1886"), _SRGB, _BT2020, None)
    nits = _WHITE_NITS * colour.RGB_to_RGB(linear, _SRGB, _BT2020, None)
    codes = {
        "601": srgb,
        "709": srgb,
        "2020": colour.eotf_inverse(wide, function="ITU-R BT.1886"),
        "pq": colour.eotf_inverse(nits, function="ITU-R BT.2100 PQ"),
        "hlg": colour.eotf_inverse(nits, function="ITU-R BT.2100 HLG"),
    }
    lab = colour.XYZ_to_Lab(colour.RGB_to_XYZ(linear, _SRGB), _D65)
    made: dict[str, Any] = {
        "names": list(chart.data),
        "srgb": np.round(255 * srgb, 3).tolist(),
        "lab": np.round(lab, 4).tolist(),
        "codings": {
            f"{way} {bits} bit {'limited' if limited else 'full'}": _samples(code, way, bits, limited)
            for way, code in codes.items()
            for bits in (8, 10, 12)
            for limited in (True, False)
        },
    }
    OUTPUT.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")


def _samples(code: Any, way: str, bits: int, limited: bool) -> Any:
    """Return Y, Cb and Cr of each colour."""
    weights = colour.WEIGHTS_YCBCR[f"ITU-R BT.{way if way in ('601', '709') else '2020'}"]
    return colour.RGB_to_YCbCr(code, K=weights, out_bits=bits, out_legal=limited, out_int=True).tolist()


if __name__ == "__main__":
    main()
