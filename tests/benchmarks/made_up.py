"""Figures that nobody measured, to try tables and pictures of ``benchmarks.cpu_gpu`` on a machine without a card."""

from benchmarks import card_report
from benchmarks.cpu_gpu import NETWORKS, SWEPT
from benchmarks.sized_operations import ROWS, SAMPLES

MARK = "MADE UP, not measured"

STEPS = {  # milliseconds at batch 32: processor, GPU, not recorded, PyTorch, channels last, compiled
    "P0": (31, 0.21, 0.9, 0.62, 0.71, 0.4),
    "P3": (7.9, 0.14, 0.75, 0.55, 0.6, 0.25),
    "P4a": (420, 3.4, 3.9, 3.6, 4.4, 3.3),
    "P4b tanh 200": (33, 0.8, 1.4, 1.9, None, None),
    "P4b relu 200": (34, 0.8, 1.4, 95.0, None, None),
    "P4b tanh 2000": (330, 6.1, 6.9, 19.5, None, None),
    "P4b relu 2000": (335, 6.2, 7.0, 950.0, None, None),
}
LABELS = ("CPU", "GPU", "GPU, not recorded", "PyTorch", "PyTorch, channels last", "PyTorch, compiled")
FACTS = {"flops": 150_000_000, "weights": 1_600_000, "activations": 240_000}
PEAKS = {"CPU": {"flops": 1.1e12, "bytes": 9e10}, "GPU": {"flops": 5.2e13, "bytes": 3.9e12}}


def row(ms, label):
    on_card = label != "CPU"
    return {
        "step": ms, "host": min(ms, 0.08) if label == "GPU" else 0.7 * ms, "device": 0.95 * ms if on_card else None,
        "compile": 11.0 if label == "PyTorch, compiled" else 1.4 * on_card, "reason": None,
        **({"to the card": 0.05, "back": 0.02} if on_card else {}),
    }  # fmt: skip


def measured(values, flops, device, turn):
    start, speed = (0.004, 2e6) if device == "CPU" else (0.03, 5e8)
    ms = start + values / speed / (1 + turn % 5)
    way = {"step": ms, "host": ms if device == "CPU" else 0.02, "device": None if device == "CPU" else ms}
    return {"values": values, "bytes": 8 * values, "flops": flops, "forward": way, "backward": way}


def results():
    """Return results in the benchmark's form."""
    networks = {}
    for name in NETWORKS:
        batches = {}
        for size, factor in ((32, 1.0), (256, 5.5)):
            times = dict(zip(LABELS, STEPS[name], strict=True))
            batches[str(size)] = {label: row(ms * factor, label) for label, ms in times.items() if ms is not None}
        factor = 1 + 3 * len(networks)
        facts = {key: value // factor if key == "activations" else value for key, value in FACTS.items()}
        networks[name] = {"facts": facts, "batches": batches, "disagree": {}}
    sweeps = {}
    for turn, (name, sizes) in enumerate(SWEPT.items()):
        cpu, gpu = [0.9 * n + 0.1 for n in sizes], [(0.5, 4.0, 400.0)[turn] + 0.01 * n for n in sizes]
        where = card_report.crossover(sizes, cpu, gpu)
        sweeps[name] = {"sizes": sizes, "CPU": cpu, "GPU": gpu, "crossover": where}
    operations = {}
    for turn, (op, sized) in enumerate(ROWS.items()):
        swept = {
            device: [{"samples": n, **measured(4000 * n, sized.flops * n, device, turn)} for n in SAMPLES]
            for device in ("CPU", "GPU")
        }
        operations[op] = {"apart": 1e-7, **card_report.joined(swept["CPU"], swept["GPU"])}
    agreement = {"P3": {"batch": 32, "steps": 100, "apart": 3e-6, "ok": True, "losses": {}}}
    return {
        "made up": MARK, "precision": "float32", "absent": {}, "left out": [], "agreement": agreement,
        "networks": networks, "sweeps": sweeps, "operations": operations, "peaks": PEAKS,
    }  # fmt: skip
