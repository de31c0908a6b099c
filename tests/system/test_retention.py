"""What retention keeps is what an oracle keeps that shares nothing with it, and never too little."""
import random
import subprocess

import pytest
from support.retention_oracle import Case, Snapshot, decide, is_much, random_case


@pytest.fixture(scope='module')
def engine(binary):
    program = binary.parent / 'tests' / 'retention_cases'
    assert program.is_file(), f"'{program}' does not exist: build the tests"
    return program


def ask(engine, cases: list[Case]) -> list[tuple[dict, bool]]:
    """What the engine makes of each: id -> (it stays, why); and whether that is much."""
    text = ''.join(case.text() for case in cases)
    lines = iter(subprocess.run([engine], input=text, capture_output=True, text=True, check=True, timeout=300).stdout.splitlines())
    answers = []
    for case in cases:
        rows = [next(lines).split(' ', 2) for _ in case.snapshots]
        decisions = {id: (action == 'keep', sorted(why.split('; '))) for id, action, why in rows}
        assert len(decisions) == len(case.snapshots) and all(action in ('keep', 'remove') for _, action, _ in rows)
        answers.append((decisions, next(lines) == 'much'))
    assert next(lines, None) is None
    return answers


def check_never(case: Case, decisions: dict):
    """What no rule may ever take away."""
    ordered = sorted(case.snapshots, key=lambda s: s.id, reverse=True)
    counted = [s for s in ordered if s.counts(case.now)]
    dear = counted[:case.minimum] + [s for s in ordered if s.has('i') and s.until > case.now] + [s for s in ordered if s.has('u') or s.ahead(case.now) and not s.has('x')]
    for flag in 'vr':
        dear += [s for s in ordered if s.has(flag) and not s.ahead(case.now)][:1]
    assert all(decisions[s.id][0] for s in dear)
    assert not ordered or any(stays for stays, _ in decisions.values()) or all(s.sequence == 0 for s in ordered)


def compare(engine, seed: int, count: int):
    r = random.Random(seed)
    cases = [random_case(r) for _ in range(count)]
    wanted = [decide(case) for case in cases]
    for case in cases:
        r.shuffle(case.snapshots)  # what comes in another order is decided as before
    answers = ask(engine, cases)
    for case, want, (got, much) in zip(cases, wanted, answers):
        assert got == want and much == is_much(case, want), f'seed {seed}:\n{case.text()}'
        check_never(case, got)
    for case, want in zip(cases, wanted):
        case.snapshots = [s for s in case.snapshots if want[s.id][0]]
    for case, (got, _) in zip(cases, ask(engine, cases)):
        assert all(stays for stays, _ in got.values()), f'seed {seed}, once more:\n{case.text()}'
    return sum(not stays for want in wanted for stays, _ in want.values())


def test_a_sample_of_cases(engine):
    assert compare(engine, 1, 5000) > 5000  # enough of them remove something


@pytest.mark.long
@pytest.mark.parametrize('part', range(20))
def test_a_million_cases(engine, part):
    assert sum(compare(engine, 1000 + part * 10 + i, 5000) for i in range(10)) > 50_000


def day(number: int, flags='c') -> Snapshot:
    """Noon of that day of March 2026."""
    return Snapshot(f'202603{number:02}T120000Z-{number:06x}', number, 1_772_366_400_000_000_000 + (number - 1) * 86_400_000_000_000, flags)


def test_the_oracle_by_hand(engine):
    """One case, done by a person: the 2nd of March 2026 is a Monday."""
    case = Case(zone='Europe/Berlin', now=day(31).started, periods={'daily': 2, 'weekly': 3}, minimum=1,
                snapshots=[day(n) for n in range(1, 31)] + [day(31, '-')])
    kept = {30: ['daily 1 of 2', 'newest complete', 'weekly 1 of 3'], 29: ['daily 2 of 2', 'weekly 2 of 3'], 22: ['weekly 3 of 3'],
            31: ['incomplete, and no complete one is newer', 'newest']}
    for decisions in (decide(case), ask(engine, [case])[0][0]):
        assert {int(id[6:8]): why for id, (stays, why) in decisions.items() if stays} == kept
        assert decisions[day(1).id] == (False, ['no rule keeps it'])
