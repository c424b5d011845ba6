"""All kill points: before and after every effect. A round reports points that it passes and that are missing here."""

# In the order in which a case passes them. Some later ones occur only after a kill at an earlier one (AFTER).
EFFECTS = (
    "store:database.take_epoch",
    "rename:.mqi-results",
    "rename:results-folder.id",
    "store:constancy.begin",
    "worker:compile_kernels",
    "rename:kernel",
    "store:work_items.wake_all",
    "store:arrivals.add",
    "store:work_items.wake",
    "worker:examine",
    "worker:copy_to_spool",
    "rename:admitted",
    "rename:origin.json",
    "store:cases.change",
    "store:admit.register_as_seen",
    "store:record.record_outcome",
    "store:apply.apply_order",
    "rename:orders.json",
    "store:work_items.move",
    "store:work_items.set_reason",
    "worker:write_input",
    "rename:recipe.json",
    "rename:prepared",
    "rename:input",
    "rmtree:input.aside",
    "request:workspace",
    "request:clock",
    "request:runs",
    "request:settled",
    "request:space",
    "store:upload.choose",
    "rename:sent-to",
    "send",
    "request:settle",
    "store:work_items.add_beam",
    "store:jobs.claim",
    "request:submit",
    "store:jobs.change",
    "store:hosts.save",
    "store:jobs.wake_queue",
    "request:poll",
    "request:cancel",
    "fetch",
    "rmtree:back-of-run",
    "worker:keep_beam_dose",
    "rename:dose",
    "rename:dose-record",
    "worker:judge_with_figures",
    "rename:check",
    "rename:rtdose",
    "rename:results",
    "rmtree:comparison",
    "rmtree:results",
    "worker:prepare_report",
    "rename:volumes",
    "rename:report",
    "store:figures.save",
    "store:signatures.withdraw",
    "rmtree:results.aside",
    "rename:manifest",
    "rename:delivered",
    "store:signatures.open_case",
    "rmtree:part",
    "rename:ended.json",
    "rename:spent.json",
    "rename:extension.json",
    "store:work_items.wake_step",
    "request:remove",
    "rmtree:input",
    "rmtree:back",
    "rmtree:prepared",
    "request:left",
    "store:breakers.save",
    "rename:backup",
    "worker:examine_delivery",
    "worker:copy_delivery",
    "store:receive.register_delivery",
    "worker:named_plans",
    "worker:join_delivery",
    "store:join.record_join",
    "worker:judge_delivered",
    "worker:prepare_fraction_report",
)
_OF_DELIVERIES = EFFECTS[EFFECTS.index("worker:examine_delivery") :]
_OF_SLURM = {f"request:{verb}": f"request:slurm_{verb}" for verb in ("submit", "poll", "cancel")}


def points_of(backend: str) -> tuple[str, ...]:
    """All kill points where jobs run so: `direct` or `slurm`."""
    names = _OF_SLURM if backend == "slurm" else {}
    return tuple(f"{names.get(effect, effect)}:{moment}" for effect in EFFECTS for moment in ("before", "after"))


POINTS = points_of("direct")

# The faults, in this order, without which an effect does not occur.
NEEDS = {
    "request:runs": ("cancelled, then retried",),
    "request:cancel": ("engine slow", "cancelled by order"),
    "request:slurm_cancel": ("engine slow", "cancelled by order"),
    "store:apply.apply_order": ("retried without need",),
    "rename:orders.json": ("made urgent",),
    "rename:extension.json": ("longer run needed",),
    "rename:check": ("longer run needed",),  # only these cases have a planned dose
    "rmtree:comparison": ("longer run needed",),
    "store:work_items.wake": ("case arrives while it is taken",),
    "store:breakers.save": ("connection refused",),
    "rmtree:back-of-run": ("product spoiled there",),
    **dict.fromkeys(_OF_DELIVERIES, ("delivery arrives",)),
}
# The point at which the previous life must have ended for an effect to occur.
AFTER = {
    "rmtree:input.aside": "rename:input:before",
    "rmtree:results.aside": "rename:results:before",
    "rmtree:results": "rename:results:after",
    "rmtree:part": "rename:delivered:before",
}
# They occur once, at the start of a round.
FIRST = (
    "rename:.mqi-results",
    "rename:results-folder.id",
    "store:constancy.begin",
    "worker:compile_kernels",
    "rename:kernel",
)
