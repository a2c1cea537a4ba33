"""
From high dynamic range and wide colour to sRGB: the picture as an ordinary screen should show it.

Light of a PQ or HLG frame is mapped by its brightest channel, so hues stay, with the EETF of ITU-R BT.2390:
a source of 1000 nits onto a screen whose white is 203 nits, the HDR reference white of BT.2408. BT.2020
primaries become BT.709's.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float32]
Exact = NDArray[np.float64]

_SOURCE_PEAK_NITS = 1000.0
_SCREEN_WHITE_NITS = 203.0
_LUMINANCE_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
_FROM_2020_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_SRGB_STEPS = 4096


def from_pq(pixels: NDArray[np.uint16], *, wide: bool) -> NDArray[np.uint8]:
    """
    Return sRGB `(height, width, 3)` `uint8` of PQ-coded RGB `uint16` (SMPTE ST 2084, full range).

    Args:
        wide: The primaries are those of BT.2020, else those of BT.709.
    """
    nits, gain = _pq_tables()
    return _to_srgb(nits[pixels] * gain[pixels.max(axis=2)][..., None], wide=wide)


def from_hlg(pixels: NDArray[np.uint16], *, wide: bool) -> NDArray[np.uint8]:
    """Return sRGB of HLG-coded RGB (ARIB STD-B67), as `from_pq` does; seen as on a 1000 cd/m² screen."""
    scene = _hlg_table()[pixels]
    luminance = scene @ _LUMINANCE_2020
    nits = _SOURCE_PEAK_NITS * scene * np.power(luminance, np.float32(0.2))[..., None]
    brightest = np.maximum(nits.max(axis=2), np.float32(1e-4))
    gain = (_screen_nits(brightest.astype(np.float64)) / brightest).astype(np.float32)
    return _to_srgb(nits * gain[..., None], wide=wide)


def from_bt2020(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """
    Return sRGB of standard-range RGB with BT.2020's primaries, as `from_pq` does.

    Light is that of BT.1886, whose code on BT.709's primaries counts as sRGB, as it does for any other video.
    """
    linear = _bt1886_table()[pixels] @ _FROM_2020_TO_709.T
    index = np.sqrt(np.clip(linear, 0, 1)) * np.float32(_SRGB_STEPS - 1) + np.float32(0.5)
    coded: NDArray[np.uint8] = _bt1886_codes()[index.astype(np.intp)]
    return coded


def _to_srgb(nits: Light, *, wide: bool) -> NDArray[np.uint8]:
    linear = nits / np.float32(_SCREEN_WHITE_NITS)
    if wide:
        linear = linear @ _FROM_2020_TO_709.T
    # The table is read at the square root, whose steps are finest where the eye is: in the dark.
    index = np.sqrt(np.clip(linear, 0, 1)) * np.float32(_SRGB_STEPS - 1) + np.float32(0.5)
    srgb: NDArray[np.uint8] = _srgb_table()[index.astype(np.intp)]
    return srgb


@cache
def _pq_tables() -> tuple[Light, Light]:
    """Return light in cd/m² for each PQ code, and what to multiply a pixel with for its brightest code."""
    nits = _pq_to_nits(np.linspace(0, 1, 65_536))
    positive = np.maximum(nits, 1e-4)
    return nits.astype(np.float32), (_screen_nits(positive) / positive).astype(np.float32)


@cache
def _hlg_table() -> Light:
    """Return scene light, 0 to 1, for each HLG code (BT.2100, inverse OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    code = np.linspace(0, 1, 65_536)
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


@cache
def _srgb_table() -> NDArray[np.uint8]:
    linear = np.linspace(0, 1, _SRGB_STEPS) ** 2
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * coded).astype(np.uint8)


@cache
def _bt1886_table() -> Light:
    """Return light, 0 to 1, for each code."""
    return (np.linspace(0, 1, 65_536) ** 2.4).astype(np.float32)


@cache
def _bt1886_codes() -> NDArray[np.uint8]:
    return np.round(255 * np.linspace(0, 1, _SRGB_STEPS) ** (2 / 2.4)).astype(np.uint8)


def _screen_nits(nits: Exact) -> Exact:
    """Map light of the source to light of the screen (BT.2390, section 5.4.1, without a black lift)."""
    peak = _nits_to_pq(np.array(_SOURCE_PEAK_NITS))
    most = _nits_to_pq(np.array(_SCREEN_WHITE_NITS)) / peak
    knee = 1.5 * most - 0.5
    coded = np.minimum(_nits_to_pq(nits) / peak, 1.0)
    t = np.clip((coded - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    )
    return _pq_to_nits(np.where(coded < knee, coded, spline) * peak)


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_to_nits(code: Exact) -> Exact:
    power = np.power(code, 1 / _M2)
    nits: Exact = 10_000 * np.power(np.maximum(power - _C1, 0) / (_C2 - _C3 * power), 1 / _M1)
    return nits


def _nits_to_pq(nits: Exact) -> Exact:
    power = np.power(nits / 10_000, _M1)
    code: Exact = np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2)
    return code
