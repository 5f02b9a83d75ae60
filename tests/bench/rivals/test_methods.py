"""Every rival on a random checkpoint of each family: it engages, its full budget changes nothing, it comes off."""

from itertools import product

import pytest

from bench.rivals.fidelity import fidelity
from bench.rivals.registry import rivals
from bench.rivals.rival import Refused
from bench.rivals.runs import accelerated, same, uncached
from bench.rivals.sweep import ENGAGED
from tests.bench.rivals.micros import MICRO, Micro

#: Those that serve no such model; `test_sweep` holds what they say.
REFUSE = {
    ("faster-cache", "wan"),
    *product(["faster-cache-attention"], ["flux", "hunyuan_video"]),
}
#: Its full budget adds up in another order: the tokens of HunyuanVideo are made contiguous.
ROUNDED = set(product([name for name in rivals() if name.startswith("dbcache") or name == "scm"], ["hunyuan_video"]))
#: Forecasts take the solver's place at every step, and weigh in float32 what it adds up step by step.
ROUNDED |= set(product([name for name in rivals() if name.startswith("weights")], MICRO))
#: On one family all rivals; on the others one of each file, whose others differ in a number, and of the files that
#: forecast the last block's output one.
OF_EACH_FILE = {type(rival).__module__: name for name, rival in reversed(rivals().items())}
FORECASTING = {f"bench.rivals.methods.{name}" for name in ("fixed_interval", "scheduled", "spectrum")}
ELSEWHERE = [name for module, name in OF_EACH_FILE.items() if module not in FORECASTING]
PAIRS = sorted({*product(rivals(), ["flux"]), *product(ELSEWHERE, MICRO), ("faster-cache-attention", "wan")} - REFUSE)


@pytest.mark.parametrize(("name", "family"), PAIRS)
def test_a_rival_computes_less_and_with_a_full_budget_does_what_the_pipeline_does(
    micros: dict[str, Micro], name: str, family: str
) -> None:
    micro, rival = micros[family], rivals()[name]
    request = micro.case.request
    rival.fit(micro.model, [micro.case])

    full = accelerated(micro.model, rival, micro.case, rival.full(request))
    assert full.multiply_adds == micro.reference.multiply_adds
    if (name, family) in ROUNDED:
        assert fidelity(full, micro.reference).snr == pytest.approx(100, abs=1)
    else:
        assert same(full, micro.reference)

    counts_steps = rival.knob in ("steps", "full steps", "sf")
    strongest = rival.settings(request)[0 if counts_steps else -1]
    run = accelerated(micro.model, rival, micro.case, strongest)
    assert run.multiply_adds < ENGAGED * micro.reference.multiply_adds
    assert 10 < fidelity(run, micro.reference).psnr < 100


@pytest.mark.parametrize("family", MICRO)
def test_what_rivals_put_onto_a_model_is_gone_afterwards(micros: dict[str, Micro], family: str) -> None:
    micro = micros[family]
    one_of_each_file = {type(rival).__module__: rival for rival in rivals().values()}
    for rival in one_of_each_file.values():
        rival.fit(micro.model, [micro.case])
        try:
            with rival.engaged(micro.model, micro.case.request, rival.settings(micro.case.request)[-1]):
                pass
        except Refused:
            continue
    assert same(uncached(micro.model, micro.case), micro.reference)
