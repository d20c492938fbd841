"""`spheredc import-cube`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLE = (
    "spheredc import-cube --root demo --cube cube.fits.gz --angles angles.fits --psf psf.fits"
    " --pixel-scale 27.19 --wavelength 3.8 --instrument naco --target 'beta Pic'"
)


def import_cube(
    cube: Annotated[Path, typer.Option(help="FITS cube, (t, y, x) or (w, t, y, x).")],
    angles: Annotated[Path, typer.Option(help="One angle per frame [deg], FITS or text.")],
    psf: Annotated[Path, typer.Option(help="FITS image of the star, (y, x) or (w, y, x).")],
    root: Annotated[Path, typer.Option(help="Result root.")] = Path(),
    wavelengths: Annotated[
        Path | None, typer.Option(help="One wavelength per channel [um], FITS or text.")
    ] = None,
    wavelength: Annotated[
        list[float] | None, typer.Option(help="Wavelength [um]; once per channel.")
    ] = None,
    pixel_scale: Annotated[
        float | None, typer.Option(help="Pixel scale [mas]; from the header if absent.")
    ] = None,
    instrument: Annotated[str, typer.Option(help="Name of the instrument.")] = "unknown",
    target: Annotated[str, typer.Option(help="Name of the star.")] = "unknown",
    name: Annotated[str | None, typer.Option(help="Identity; made if absent.")] = None,
    axes: Annotated[str, typer.Option(help="Axes of a 4-d cube: wtyx or twyx.")] = "wtyx",
    angle_offset: Annotated[float, typer.Option(help="Added to every angle [deg].")] = 0.0,
    angle_sense: Annotated[
        str, typer.Option(help="ccw: turning a frame by +angle counter-clockwise brings north up.")
    ] = "ccw",
    centre: Annotated[
        str,
        typer.Option(
            help="Star on each frame: pixel (n//2), middle ((n-1)/2), fit, or X,Y [px, 0-based]."
        ),
    ] = "pixel",
    star_flux: Annotated[
        list[float] | None,
        typer.Option(help="Star in an aperture of one FWHM, in cube units; scales the PSF."),
    ] = None,
    dit: Annotated[float, typer.Option(help="Divide cube and PSF by this time [s].")] = 1.0,
    coronagraph: Annotated[str, typer.Option(help="Name of it, or none.")] = "unknown",
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Take in a cube that was reduced elsewhere; `spheredc level2` then treats it as any other.

    Frames are turned counter-clockwise (y up) by angle + offset to bring north up and east
    left. The star is moved to pixel (n//2, n//2) where it is not there already.
    """
    from spheredc_hpc.cli._output import load_config, print_json
    from spheredc_hpc.steps import import_cube as step

    values: dict[str, Any] = {
        "instrument": instrument,
        "target": target,
        "name": name,
        "axes": axes,
        "angle_offset_deg": angle_offset,
        "angle_sense": angle_sense,
        "centre": _centre(centre),
        "wavelength_um": tuple(wavelength or ()),
        "pixel_scale_mas": pixel_scale,
        "dit_s": dit,
        "star_flux": tuple(star_flux or ()),
        "coronagraph": coronagraph,
    }
    files = step.ForeignFiles(cube, angles, psf, wavelengths)
    observation, made = step.import_cube(
        root, files, step.import_settings(values), load_config(config)
    )
    receipt = root / "observations" / observation / "level1" / "receipt.json"
    if as_json:
        print_json(
            {
                "observation": observation,
                "receipt": str(receipt),
                "status": str(made.status),
                "flags": list(made.flags),
            }
        )
        return
    typer.echo(f"{made.status}  {receipt}")
    for reason in made.reasons:
        typer.echo(f"  {reason}")


def _centre(text: str) -> object:
    parts = text.split(",")
    try:
        return (float(parts[0]), float(parts[1])) if len(parts) == 2 else text
    except ValueError:
        return text
