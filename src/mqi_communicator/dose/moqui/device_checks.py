"""Range shifters and apertures that upstream moqui would compute wrongly, or not at all, without an error. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.records import Beam, IonPlan
from mqi_communicator.dose.abilities import where
from mqi_communicator.dose.moqui.beamfile import BeamFile
from mqi_communicator.dose.moqui.beamline import Beamline, beamline_of, in_beam
from mqi_communicator.dose.range_shifter import IN
from mqi_communicator.dose.rays import MARGIN
from mqi_communicator.dose.stopping import range_in_water

_METHOD = "Plan the beam without it, or check it by another method."
_FILE = "Correct the beam file, commission it, and enter its digest in the configuration."
_BEHIND = 5.0  # mm of water that the protons must still have behind a range shifter
_STOPPING = 5.5  # of brass, relative to water: no common material of an aperture has more
MOST_WIDER = 0.01  # of a spot's sigma at the isocentre, if its protons start farther away
_MOST_CORNERS = 2_000  # so that BlockData fits into an element of 65 534 bytes
_ANGLE = 0.01  # degrees
_SAME = 0.01  # mm
Point = tuple[float, float, float]
"""A position in the patient system, in mm."""


def device_problems(plan: IonPlan, beam: Beam, model: BeamFile, snout: float, start: float) -> Iterator[Problem]:
    """Why the devices of a prepared beam cannot be computed. The model covers the beam's energies.

    `snout`: the plan's position in mm. `start`: mm from there to the protons' start.
    """

    def problem(code: str, found: str, expected: str, advice: str = _METHOD) -> Problem:
        return Problem(f"dose.{code}", plan.file, found, "", expected, advice, where(beam))

    kinds = [problem("range_shifter", *one) for one in _unlike_shifters(beam)]
    kinds += [problem("aperture", *one) for one in _unlike_apertures(beam)]
    if kinds:
        yield from kinds
        return
    line = beamline_of(beam, model.sad)
    if line.shifter is not None:
        yield from (problem("range_shifter", *one) for one in _shifter_faults(beam, line, model))
    if line.aperture is not None:
        yield from (problem("aperture", *one) for one in _aperture_faults(beam, line, model))
    if line.devices:
        yield from (problem("snout", *one) for one in _start_faults(beam, line, model, snout, start))


def isocentre_problems(plan: IonPlan, isocentres: Sequence[Point]) -> list[Problem]:
    """Beams with devices have one isocentre, which is the origin of what is sent.

    moqui moves secondary protons that begin in a device by the coordinates of its isocentre, turned with the gantry:
    only at the origin they begin where they should (post_step of mqi_po_inelastic.hpp against the transformation in
    transport_particles_patient of mqi_transport.hpp).
    """
    if not isocentres or np.abs(np.array(isocentres) - isocentres[0]).max() <= _SAME:
        return []
    found = "the plan's beams with a range shifter or an aperture have different isocentres"
    expected = "one isocentre for all of them: moqui misplaces secondary protons unless it is the origin"
    return [Problem("dose.isocenter", plan.file, found, "IsocenterPosition (300A,012C)", expected, _METHOD)]


_Fault = tuple[str, str] | tuple[str, str, str]
"""What was found, what was expected, and what to do."""


def _unlike_shifters(beam: Beam) -> Iterator[_Fault]:
    """What the plan for moqui cannot express: it has one range shifter for all layers."""
    settings = dict.fromkeys(in_beam(layer) for layer in beam.layers)
    several = next((one for one in settings if len(one) > 1), None)
    if several:
        names = " and ".join(printable(one.id) for one in several)
        yield f"{names} are in the beam at once", "one range shifter: moqui reads the first of several"
    elif len(settings) > 1:
        count = sum(bool(in_beam(layer)) for layer in beam.layers)
        names = ", ".join(sorted({printable(one.id) for own in settings for one in own}))
        found = f"range shifter {names} is in the beam for {count} of {len(beam.layers)} layers"
        if count == len(beam.layers):
            found = f"range shifter {names} has other settings in some layers than in others"
        yield found, "one setting for the whole beam: moqui reads that of the first layer alone"
    else:
        for one in next(iter(settings), ()):
            numbers = (one.distance or 0.0, one.wet or 0.0)
            if one.setting != IN or not all(0 < value < math.inf for value in numbers):
                found = (
                    f"range shifter {printable(one.id)} is not prepared: {one.setting}, {one.distance}, {one.wet} mm"
                )
                yield found, "IN, with a distance and a thickness above 0 mm", "Report this error."


def _unlike_apertures(beam: Beam) -> Iterator[_Fault]:
    listed = sum(device.kind == "aperture" for device in beam.devices)
    openings = [len(one.outlines) for one in beam.apertures]
    if not listed and not openings:
        return
    if openings != [1]:
        found = f"{len(openings)} apertures with {sum(openings)} openings"
        yield found, "one aperture of one opening: of several moqui opens the last alone"
    elif len(beam.apertures[0].outlines[0]) > _MOST_CORNERS:
        yield f"an aperture of {len(beam.apertures[0].outlines[0])} corners", f"at most {_MOST_CORNERS}"
    if abs((beam.limiting_angle + 180) % 360 - 180) > _ANGLE:
        tag = "BeamLimitingDeviceAngle (300A,0120)"
        yield f"{tag} is {beam.limiting_angle:g} degrees with an aperture", "0: moqui would turn the spots as well"


def _shifter_faults(beam: Beam, line: Beamline, model: BeamFile) -> Iterator[_Fault]:
    shifter, edges = line.shifter, line.shifter_edges
    if shifter is None or edges is None:
        return
    if model.shifter_table:
        found = "the beam file has a section [rangeshifter_thickness], from which moqui would take thickness and place"
        yield found, "no such section", _FILE
    yield from _too_narrow(beam, model, "range shifter", "rangeshifter(mm)", model.shifter_size, edges)
    left = {layer.energy: range_in_water(layer.energy) - (shifter.wet or 0.0) for layer in beam.layers}
    energy, reach = min(left.items())
    if reach <= _BEHIND:
        found = (
            f"behind range shifter {printable(shifter.id)} of {shifter.wet:g} mm water-equivalent thickness, protons "
            f"of {energy:g} MeV reach {max(reach, 0.0):.1f} mm of water"
        )
        yield found, f"more than {_BEHIND:g} mm", "Check the plan: these layers do not reach the patient."


def _aperture_faults(beam: Beam, line: Beamline, model: BeamFile) -> Iterator[_Fault]:
    one, edges, sent = line.aperture, line.aperture_edges, line.sent_aperture()
    if one is None or edges is None or sent is None:
        return
    if not 0 < edges[0] < edges[1] < min(model.sad):
        found = f"the aperture's downstream edge is {edges[0]:g} mm from the isocentre"
        yield found, "a place between the isocentre and the scanning magnets", "Correct the plan and export it again."
        return
    yield from _too_narrow(beam, model, "aperture", "aperture(mm)", model.aperture_size, edges)
    corners = np.abs(np.array(sent.outline)).max(axis=0)
    size = model.aperture_size
    if size is not None and (corners >= np.array(size) / 2).any():
        found = f"the opening reaches {corners[0]:.1f} and {corners[1]:.1f} mm from the axis (x and y)"
        yield found, f"an opening within the block: aperture(mm) {size[0]:g} {size[1]:g} of the beam file", _FILE
    if line.shifter_edges is not None and line.shifter_edges[0] < edges[1]:
        found = (
            f"the range shifter, from {line.shifter_edges[0]:g} mm, is not above the aperture, up to {edges[1]:g} mm"
        )
        yield found, "the range shifter on the source's side: moqui's protons cross it first, whatever its place"
    wet = (line.shifter.wet or 0.0) if line.shifter is not None else 0.0
    reach = max(range_in_water(layer.energy) for layer in beam.layers) - wet
    if reach > _STOPPING * one.thickness:
        found = f"a block of {one.thickness:g} mm before protons that reach {reach:.0f} mm of water"
        expected = f"at least {reach / _STOPPING:.0f} mm: protons would pass a thinner block of brass, and not moqui's"
        yield found, expected, "Check BlockThickness (300A,0100) in the plan."


def _too_narrow(
    beam: Beam, model: BeamFile, what: str, key: str, size: tuple[float, float] | None, edges: tuple[float, float]
) -> Iterator[_Fault]:
    """A device that does not cover the beam: protons that miss it are computed as if it were not there."""
    spots = np.abs(np.concatenate([layer.spots[layer.weights > 0] for layer in beam.layers])).max(axis=0)
    widest = [2 * (float(spot) * (1 - edges[0] / sad) + MARGIN) for spot, sad in zip(spots, model.sad, strict=True)]
    if size is None:
        yield f"the beam file has no line {key}, the size of the {what}", f"{key} x y under [geometry]", _FILE
    elif any(own < needed for own, needed in zip(size, widest, strict=True)):
        found = f"the {what} of the beam file, {key} {size[0]:g} {size[1]:g}, does not cover the beam"
        yield found, f"at least {widest[0]:.0f} and {widest[1]:.0f} mm (x and y)", _FILE


def _start_faults(beam: Beam, line: Beamline, model: BeamFile, snout: float, start: float) -> Iterator[_Fault]:
    wider = wider_by(beam, model, snout + start, line.snout(snout, start) + start)
    if wider > MOST_WIDER:
        found = (
            f"moqui's protons must start {line.snout(snout, start) - snout:.0f} mm farther from the isocentre than "
            f"SnoutPosition + {start:g} mm to cross all of its devices, and its beam file would widen spots "
            f"by {100 * wider:.1f} %"
        )
        expected = f"at most {100 * MOST_WIDER:g} % of sigma at the isocentre"
        advice = "Commission a beam file whose spot sizes apply above the devices, with snout positions of the plans."
        yield found, expected, advice


def wider_by(beam: Beam, model: BeamFile, planned: float, sent: float) -> float:
    """By which fraction a spot's sigma at the isocentre grows, if protons start at the height `sent`, not `planned`.

    moqui samples place and direction independently, so that sigma^2 = x^2 + (xp height)^2. The largest fraction of the
    rows of the table around the beam's energies.
    """
    if sent <= planned:
        return 0.0
    found = [0.0]
    for energy in {layer.energy for layer in beam.layers}:
        upper = int(np.clip(np.searchsorted(model.energies, energy), 1, len(model.energies) - 1))
        for x, y, xp, yp in model.optics[upper - 1 : upper + 1]:
            for size, slope in ((x, xp), (y, yp)):
                before = math.hypot(size, slope * planned)
                found.append(math.hypot(size, slope * sent) / before - 1 if before > 0 else 0.0)
    return max(found)
