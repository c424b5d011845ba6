"""The range shifter and the aperture of a prepared beam, and how upstream moqui must be given them. Pure.

moqui reads them from the plan that is sent, with faults. The elements that are sent have other values than those of the
plan, such that moqui builds what the plan means. By its source (MGHPhysicsResearch/moquimc):

Range shifter (characterize_rangeshifter of mqi_treatment_machine_pbs.hpp, create_rangeshifter of mqi_tps_env.hpp). With
w = RangeShifterWaterEquivalentThickness and d = IsocenterToRangeShifterDistance, the slab is t = w / 1.15 thick and its
centre is d - t from the isocentre. So its downstream edge is d - 1.5 t, and to have it at the plan's distance D,

    d = D + 1.5 t.

The slab has the density of the input file's RangeshifterDensity, and the stopping power that follows from it. w is the
plan's, so that t is close to that of a shifter of PMMA, and the density is that with a stopping ratio of w / t = 1.15.

Aperture (characterize_aperture, create_voxelized_aperture). With d = IsocenterToBlockTrayDistance the block begins d
from the isocentre and extends towards the source, whatever its mounting; its walls are parallel to the beam's axis, and
BlockData is taken for the outline at the block. So d is the plan's distance of the block's own downstream edge z, and
the outline, which the plan has in the isocentre plane, is multiplied by 1 - z / VSAD along each axis: at that edge
straight walls limit a diverging beam.
"""

from __future__ import annotations

from dataclasses import dataclass

from mqi_communicator.dicom.outgoing_devices import SentAperture, SentShifter
from mqi_communicator.dicom.records import Aperture, Beam, Layer, ShifterSetting
from mqi_communicator.dose.moqui.requested import Placed
from mqi_communicator.dose.moqui.stopping import density_with
from mqi_communicator.dose.range_shifter import OUT

WATER_PER_MM = 1.15  # by which moqui divides the water-equivalent thickness
_CLEAR = 1.0  # mm between the protons' start and the device below it


@dataclass(frozen=True, slots=True)
class Beamline:
    """What is between source and patient. Heights in mm above the isocentre."""

    shifter: ShifterSetting | None  # prepared: with a distance and a thickness
    aperture: Aperture | None
    sad: tuple[float, float]  # mm, with which the aperture was projected to the isocentre plane

    @property
    def devices(self) -> int:
        """How many; moqui numbers the patient behind them in the name of the dose."""
        return (self.shifter is not None) + (self.aperture is not None)

    @property
    def shifter_edges(self) -> tuple[float, float] | None:
        """The downstream and the upstream edge of the range shifter."""
        if self.shifter is None:
            return None
        bottom = self.shifter.distance or 0.0
        return bottom, bottom + thickness_of(self.shifter)

    @property
    def aperture_edges(self) -> tuple[float, float] | None:
        """The downstream and the upstream edge of the aperture."""
        one = self.aperture
        return None if one is None else (one.downstream, one.downstream + one.thickness)

    def snout(self, snout: float, start: float) -> float:
        """The SnoutPosition that is sent: that of the plan, or one from which protons start above every device.

        `start`: mm from the snout to the protons' start. moqui's protons do not cross what is above their start.
        """
        tops = [edges[1] for edges in (self.shifter_edges, self.aperture_edges) if edges is not None]
        return max([snout, *(top + _CLEAR - start for top in tops)])

    def placed(self) -> tuple[Placed | None, Placed | None]:
        """Thickness and centre of the range shifter and of the aperture that moqui must build, as it prints them."""
        found = [
            None if edges is None else (round(edges[1] - edges[0], 4), round(sum(edges) / 2, 4))
            for edges in (self.shifter_edges, self.aperture_edges)
        ]
        return found[0], found[1]

    def input_lines(self) -> dict[str, str]:
        """Lines of the input file."""
        if self.shifter is None:
            return {}
        return {"RangeshifterDensity": f"{density_with(WATER_PER_MM):.5f}"}

    def sent_shifter(self) -> SentShifter | None:
        """The elements from which moqui builds the range shifter."""
        one = self.shifter
        if one is None:
            return None
        return SentShifter((one.distance or 0.0) + 1.5 * thickness_of(one), one.wet or 0.0)

    def sent_aperture(self) -> SentAperture | None:
        """The elements from which moqui builds the aperture."""
        one = self.aperture
        if one is None:
            return None
        x, y = (1 - one.downstream / sad for sad in self.sad)
        outline = tuple((float(u) * x, float(v) * y) for u, v in one.outlines[0])
        return SentAperture(outline, one.downstream, one.thickness)


def in_beam(layer: Layer) -> tuple[ShifterSetting, ...]:
    """The range shifters that are in the beam. Those of a beam that is not prepared may be OUT."""
    return tuple(one for one in layer.shifters if one.setting != OUT)


def thickness_of(shifter: ShifterSetting) -> float:
    """The thickness of the slab that moqui builds, in mm."""
    return (shifter.wet or 0.0) / WATER_PER_MM


def beamline_of(beam: Beam, sad: tuple[float, float]) -> Beamline:
    """The devices of a prepared beam. `sad`: of the beam model, for plans without VirtualSourceAxisDistances.

    `device_checks` refuses beams that have others than this.
    """
    shifters = in_beam(beam.layers[0]) if beam.layers else ()
    return Beamline(shifters[0] if shifters else None, beam.apertures[0] if beam.apertures else None, beam.sad or sad)
