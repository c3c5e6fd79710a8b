"""Names of the ways in which networks are trained on several devices. No TensorFlow here."""

from pipelines.errors import UserError

ONE_DEVICE, MIRRORED, MULTI_WORKER = "one_device", "mirrored", "multi_worker"
STRATEGIES = (ONE_DEVICE, MIRRORED, MULTI_WORKER)
HELP = "one_device, mirrored (all devices, or mirrored:GPU:0,GPU:1) or multi_worker (all of TF_CONFIG)"


def strategy_parts(name: str, where: str = "strategy") -> tuple[str, list[str]]:
    """The kind and the devices, such as GPU:0, that a setting like `mirrored:GPU:0,GPU:1` names.

    Raises `UserError` that begins with `where` for an unknown kind, one_device with several devices and
    multi_worker with any.
    """
    kind, _, text = name.partition(":")
    devices = [device.strip().upper() for device in text.split(",")] if text else []
    if kind not in STRATEGIES:
        raise UserError(f"{where}: '{name}' is none of {', '.join(STRATEGIES)}")
    for device in devices:
        letters, _, number = device.partition(":")
        if not letters.isalpha() or not number.isdigit():
            raise UserError(f"{where}: '{device}' is no device; write it as in mirrored:GPU:0,GPU:1")
    if len(set(devices)) < len(devices):
        raise UserError(f"{where}: {name} names a device twice; name each once")
    if len(devices) > {ONE_DEVICE: 1, MULTI_WORKER: 0}.get(kind, len(devices)):
        raise UserError(f"{where}: {kind} with {', '.join(devices)}; name several devices with mirrored")
    return kind, devices


def one_process(name: str, command: str) -> str:
    """The setting as it is; raises `UserError` for several workers, which only trainings can have."""
    if strategy_parts(name)[0] == MULTI_WORKER:
        raise UserError(
            f"strategy multi_worker: {command} does more than train; run it with another --strategy, or give "
            "python -m scsampler_tf.train on every machine what it would train"
        )
    return name
