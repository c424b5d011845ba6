"""What worker processes run for the steps: DICOM is read and written, doses are compared, reports are drawn.

The daemon imports the functions of workers from here, never from their modules: these load numpy, pydicom and more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.flow.workers.deferred import Deferred

if TYPE_CHECKING:
    from mqi_communicator.flow.tasks.beam import keep_beam_dose as keep_beam_dose
    from mqi_communicator.flow.tasks.delivered import join_delivery as join_delivery
    from mqi_communicator.flow.tasks.delivered import judge_delivered as judge_delivered
    from mqi_communicator.flow.tasks.delivered import named_plans as named_plans
    from mqi_communicator.flow.tasks.engine_input import write_input as write_input
    from mqi_communicator.flow.tasks.figures import judge_with_figures as judge_with_figures
    from mqi_communicator.flow.tasks.fraction_report import prepare_fraction_report as prepare_fraction_report
    from mqi_communicator.flow.tasks.fraction_report import redraw_fraction_report as redraw_fraction_report
    from mqi_communicator.flow.tasks.identity import identity_of as identity_of
    from mqi_communicator.flow.tasks.reconstruction import reconstruct_case as reconstruct_case
    from mqi_communicator.flow.tasks.report import prepare_report as prepare_report
    from mqi_communicator.flow.tasks.report import redraw_report as redraw_report
    from mqi_communicator.flow.tasks.sign import sign_results as sign_results
    from mqi_communicator.intake.admit import examine as examine
    from mqi_communicator.intake.deliveries import copy_delivery as copy_delivery
    from mqi_communicator.intake.deliveries import examine_delivery as examine_delivery
    from mqi_communicator.intake.spooling import copy_to_spool as copy_to_spool
else:
    examine = Deferred("mqi_communicator.intake.admit", "examine")
    copy_to_spool = Deferred("mqi_communicator.intake.spooling", "copy_to_spool")
    examine_delivery = Deferred("mqi_communicator.intake.deliveries", "examine_delivery")
    copy_delivery = Deferred("mqi_communicator.intake.deliveries", "copy_delivery")
    named_plans = Deferred("mqi_communicator.flow.tasks.delivered", "named_plans")
    join_delivery = Deferred("mqi_communicator.flow.tasks.delivered", "join_delivery")
    judge_delivered = Deferred("mqi_communicator.flow.tasks.delivered", "judge_delivered")
    reconstruct_case = Deferred("mqi_communicator.flow.tasks.reconstruction", "reconstruct_case")
    write_input = Deferred("mqi_communicator.flow.tasks.engine_input", "write_input")
    keep_beam_dose = Deferred("mqi_communicator.flow.tasks.beam", "keep_beam_dose")
    judge_with_figures = Deferred("mqi_communicator.flow.tasks.figures", "judge_with_figures")
    identity_of = Deferred("mqi_communicator.flow.tasks.identity", "identity_of")
    prepare_report = Deferred("mqi_communicator.flow.tasks.report", "prepare_report")
    redraw_report = Deferred("mqi_communicator.flow.tasks.report", "redraw_report")
    prepare_fraction_report = Deferred("mqi_communicator.flow.tasks.fraction_report", "prepare_fraction_report")
    redraw_fraction_report = Deferred("mqi_communicator.flow.tasks.fraction_report", "redraw_fraction_report")
    sign_results = Deferred("mqi_communicator.flow.tasks.sign", "sign_results")
