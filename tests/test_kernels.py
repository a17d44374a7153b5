"""The kernels give the same weights and losses as dense updates of full tables."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from packed import packed_blocks

from mfcli.aligned import as_aligned
from mfcli.training.sgd.blocks import Batches, places_of
from mfcli.training.sgd.claims import make_claims
from mfcli.training.sgd.exact_sums import no_sums, value_of
from mfcli.training.sgd.generators import words_of
from mfcli.training.sgd.kernels import kernels_for
from mfcli.training.sgd.powers import NEAR, make_costs, make_powers, quadratic
from mfcli.training.sgd.repeats import make_repeats
from mfcli.training.sgd.rows import (
    ITEM_ONE,
    RATING,
    USER_ONE,
    WEIGHTED,
    Sgd,
    make_variant,
    pack,
    pack_regs,
    unpack,
)
from mfcli.training.sgd.shuffle import buffer_of, shuffle
from mfcli.training.sgd.workers import run_workers


def dense_twin(case, epochs):
    """Train full tables in float64, with every row at every step."""
    d, mu = case["sgd"], case["mu"]
    tables = [t.astype(np.float64) for t in case["tables"]]  # P, Q, bu, bi
    speeds = [np.zeros_like(t) for t in tables]
    history = []
    order = sorted(
        (step, block, number)
        for block, (_, steps) in enumerate(case["blocks"])
        for number, step in enumerate(steps)
    )
    size = case["batch_size"]
    for _ in range(epochs):
        errors = weighted = penalty = count = 0.0
        for _, block, number in order:
            batch = case["blocks"][block][0][number * size : (number + 1) * size]
            u, i, r = batch["user"], batch["item"], batch["rating"].astype(np.float64)
            p, q, bu, bi = tables
            e = mu + bu[u] + bi[i] + (p[u] * q[i]).sum(1) - r
            n = len(batch)
            weight = batch["weight"] if case["weighted"] else np.ones(n)
            errors += (e**2).sum()
            weighted += (weight * e**2).sum()
            penalty += n * d.reg * sum((t**2).sum() for t in tables)
            count += n
            grads = [np.zeros_like(t) for t in tables]
            c = 2.0 / n * weight * e
            np.add.at(grads[0], u, c[:, None] * q[i])
            np.add.at(grads[1], i, c[:, None] * p[u])
            np.add.at(grads[2], u, c)
            np.add.at(grads[3], i, c)
            for t, g, rows, r in zip(tables, grads, (u, i, u, i), case["regs"], strict=True):
                np.add.at(g, rows, 2.0 / n * r * t[rows])
                penalty += r * (t[rows] ** 2).sum()
            for t, v, g in zip(tables, speeds, grads, strict=True):
                g += 2.0 * d.reg * t
                v *= d.momentum
                v -= d.lr * g
                t += d.momentum * v - d.lr * g if d.nesterov else v
        history.append((errors, weighted, penalty, count))
    return tables, history


def unshuffled(records, words, number):
    """Return the records in an order that the shuffle of a block turns into the given one."""
    numbered, order = np.zeros((2, len(records)), records.dtype)
    numbered["user"] = np.arange(len(records))
    packed = packed_blocks([numbered] * (number + 1), wide=True)
    shuffle(packed, words, number, order)
    made = np.empty_like(records)
    made[order["user"]] = records
    return made


def batches_of(case, words):
    """Return the packed ratings of a case and their batches, as the kernels read them."""
    size, blocks, bounds, start = case["batch_size"], [0], [0], 0
    for records, steps in case["blocks"]:
        ends = np.minimum((np.arange(len(steps)) + 1) * size, len(records))
        bounds += (start + ends).tolist()
        blocks.append(blocks[-1] + len(steps))
        start += len(records)
    parts = [unshuffled(r, words, number) for number, (r, _) in enumerate(case["blocks"])]
    steps = np.concatenate([steps for _, steps in case["blocks"]])
    packed = packed_blocks(parts, wide=case["wide"])
    # Block b of a case with P groups of blocks is in stratum b / P.
    packed = packed._replace(firsts=packed.firsts[:, : case["groups"]].copy())
    return packed, Batches(np.array(blocks), np.array(bounds), steps)


def train(case, epochs, threads=1, velocity=False):
    """Train with the kernels; return the tables and the losses of each epoch.

    `velocity` keeps velocities with momentum 0, too.
    """
    d = case["sgd"]
    p, q, bu, bi = case["tables"]
    k = p.shape[1]
    variant = make_variant(
        k,
        momentum=velocity or d.momentum > 0,
        table_reg=d.reg > 0,
        nesterov=d.nesterov,
        rating_reg=any(case["regs"]),
        weighted=case["weighted"],
        wide=case["wide"],
    )
    kernels = kernels_for(variant)
    names = ("user_factors", "item_factors", "user_biases", "item_biases")
    regs = pack_regs(dict(zip(names, case["regs"], strict=True)), variant)
    users = pack(p, bu, np.arange(len(p), dtype=np.int32), USER_ONE, d, variant)
    items = pack(q, bi, np.arange(len(q), dtype=np.int32), ITEM_ONE, d, variant)
    words = words_of(5, 1)
    packed, batches = batches_of(case, words)
    total, ratings = len(batches.steps), int(batches.bounds[-1])
    sizes = np.zeros(total)
    sizes[batches.steps] = np.diff(batches.bounds)
    powers = make_powers(d, total)
    costs = make_costs(d, sizes)
    kind = {"wide": case["wide"], "weighted": case["weighted"]}
    buffers = [buffer_of(ratings, **kind) for _ in range(threads)]
    repeats = [
        make_repeats(variant, len(users), len(items), int(sizes.max())) for _ in range(threads)
    ]
    history = []
    for _ in range(epochs):
        losses = np.zeros((case["groups"] ** 2, 3))
        ahead = 0.0
        if d.reg > 0:
            for rows, one in ((users, USER_ONE), (items, ITEM_ONE)):
                sums = np.empty(len(rows))
                quadratic(rows, one, costs.start, sums)
                ahead += sums.sum()
        claims = make_claims(case["groups"], len(users) > len(items), threads)

        def run(worker, claims=claims, losses=losses):
            kernels.train(
                packed,
                batches,
                claims,
                worker,
                words,
                buffers[worker],
                users,
                items,
                powers,
                costs.slopes,
                np.full(total, d.lr),
                case["mu"],
                regs,
                repeats[worker],
                losses,
            )

        run_workers(run, claims, ratings, lambda done, total: None)
        assert claims.ratings.sum() == ratings
        assert not any(part.sums.any() for part in repeats)
        for rows, one in ((users, USER_ONE), (items, ITEM_ONE)):
            if variant.velocity:
                kernels.finish_epoch(rows, 0, len(rows), one, total, powers)
        squares, weighted, change = losses.sum(axis=0)
        history.append((squares, weighted, (d.reg or 1.0) * (ahead + change), sizes.sum()))
    assert (users[:, 0, USER_ONE] == 1).all()
    assert (items[:, 0, ITEM_ONE] == 1).all()
    pads = slice(k + 2, None)
    for rows in (users, items):
        assert not rows[:, :, pads].any()
    p, bu = unpack(users, np.arange(len(users)), k, USER_ONE)
    q, bi = unpack(items, np.arange(len(items)), k, ITEM_ONE)
    return (p, q, bu, bi), history


def make_case(
    seed,
    k,
    sgd,
    users=12,
    items=9,
    groups=1,
    ratings=150,
    batch=16,
    gap=0,
    regs=(0, 0, 0, 0),
    weighted=False,
    wide=False,
):
    """Return ratings in groups x groups blocks, with the steps of each stratum interleaved."""
    rng = np.random.default_rng(seed)
    records = np.zeros(ratings, WEIGHTED if weighted else RATING)
    # A few rows take most ratings; the last ones none (or few, for long gaps).
    records["user"] = (users * rng.random(ratings) ** 2).astype(int)
    records["item"] = (items * rng.random(ratings) ** 2).astype(int)
    records["rating"] = rng.normal(3.5, 1, ratings)
    if weighted:  # from another generator: the case is the same with and without
        records["weight"] = np.random.default_rng(seed).lognormal(0, 1, ratings)
    if gap:  # one user is seen at both ends only
        records["user"][records["user"] == users - 1] = 0
        records["user"][[0, 1, -1]] = users - 1
    blocks, step = [], 0
    ug, ig = records["user"] % groups, records["item"] % groups
    for s in range(groups):
        stratum = []
        for g in range(groups):
            mine = records[(ug == g) & (ig == (g + s) % groups)].copy()
            stratum.append(len(blocks))
            blocks.append((mine, np.empty(-(-len(mine) // batch), np.int32)))
        turns = sorted(
            (rng.random() if groups > 1 else n, b, n)
            for b in stratum
            for n in range(len(blocks[b][1]))
        )
        seen = dict.fromkeys(stratum, 0)
        for _, b, _ in turns:
            blocks[b][1][seen[b]] = step
            seen[b] += 1
            step += 1
    scale = 0.3 if k < 50 else 0.1
    tables = (
        rng.normal(0, scale, (users, k)).astype(np.float32),
        rng.normal(0, scale, (items, k)).astype(np.float32),
        rng.normal(0, 0.1, users).astype(np.float32),
        rng.normal(0, 0.1, items).astype(np.float32),
    )
    return {
        "sgd": sgd,
        "mu": np.float32(3.5),
        "tables": tables,
        "blocks": blocks,
        "groups": groups,
        "batch_size": batch,
        "regs": regs,
        "weighted": weighted,
        "wide": wide,
    }


def check(case, epochs):
    expected, losses = dense_twin(case, epochs)
    actual, ours = train(case, epochs)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(ours, losses, rtol=1e-5, atol=1e-9)


def rate_for(momentum):
    return 0.05 * (1 - momentum)


@pytest.mark.parametrize("k", [1, 2, 6, 7, 10, 13, 14, 15, 31, 62, 63, 100, 512])
@pytest.mark.parametrize("reg", [0.0, 0.02])
@pytest.mark.parametrize("nesterov", [False, True])
def test_every_row_width(k, reg, nesterov):
    d = Sgd(0.01, 0.9, reg, nesterov)
    check(make_case(k, k, d), 3)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("reg", [0.0, 1e-4, 0.05, 2.0])
@pytest.mark.parametrize("nesterov", [False, True])
def test_every_momentum(momentum, reg, nesterov):
    d = Sgd(rate_for(momentum), momentum, reg, nesterov)
    check(make_case(5, 10, d, ratings=400), 3)


@pytest.mark.parametrize(("k", "nesterov"), [(1, False), (10, False), (10, True), (64, False)])
@pytest.mark.parametrize("regs", [(0.1, 0.2, 0.3, 0.4), (0, 0.5, 0, 0), (0, 0, 0, 0.5)])
def test_penalties_per_rating(k, nesterov, regs):
    d = Sgd(0.01, 0.9, 0.0, nesterov)
    check(make_case(k, k, d, groups=2, regs=regs), 3)


@pytest.mark.parametrize(
    ("k", "momentum", "reg", "nesterov", "regs"),
    [
        (10, 0.9, 0.0, False, (0, 0, 0, 0)),
        (10, 0.9, 0.02, True, (0, 0, 0, 0)),
        (64, 0.9, 0.0, False, (0.1, 0.2, 0.3, 0.4)),
        (31, 0.0, 0.0, False, (0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_weights_multiply_squared_errors(k, momentum, reg, nesterov, regs):
    d = Sgd(0.01, momentum, reg, nesterov)
    case = make_case(k, k, d, 40, 30, groups=3, ratings=900, batch=8, regs=regs, weighted=True)
    check(case, 3)
    one, two = train(case, 2, 1), train(case, 2, 2)
    assert one[1] == two[1]
    for a, b in zip(one[0], two[0], strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(("k", "momentum", "reg"), [(10, 0.9, 0), (31, 0.0, 0.1)])
def test_weights_of_one_change_no_bit(k, momentum, reg):
    d, regs = Sgd(0.01, momentum, 0, False), (reg, reg, reg, reg)
    cases = [make_case(3, k, d, regs=regs, weighted=w) for w in (False, True)]
    for records, _ in cases[1]["blocks"]:
        records["weight"] = 1
    without, with_ones = (train(case, 2) for case in cases)
    assert without[1] == with_ones[1]
    for a, b in zip(without[0], with_ones[0], strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_wide_records_change_no_bit(momentum):
    d = Sgd(rate_for(momentum), momentum, 0.0, False)
    cases = [make_case(3, 30, d, users=40, ratings=300, wide=wide) for wide in (False, True)]
    narrow, wide = (train(case, 2) for case in cases)
    assert narrow[1] == wide[1]
    for a, b in zip(narrow[0], wide[0], strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99])
@pytest.mark.parametrize("reg", [0.0, 0.01])
@pytest.mark.parametrize("nesterov", [False, True])
def test_blocks_and_threads(momentum, reg, nesterov):
    d = Sgd(rate_for(momentum), momentum, reg, nesterov)
    case = make_case(7, 10, d, users=40, items=30, groups=3, ratings=900, batch=8)
    check(case, 3)
    one, two = train(case, 2, 1), train(case, 2, 2)
    assert one[1] == two[1]
    for a, b in zip(one[0], two[0], strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.9999])
@pytest.mark.parametrize("reg", [0.0, 0.001])
@pytest.mark.parametrize("nesterov", [False, True])
def test_long_gaps(momentum, reg, nesterov):
    d = Sgd(0.003 * (1 - momentum), momentum, reg, nesterov)
    case = make_case(3, 3, d, ratings=2 * NEAR + 3000, batch=2, gap=1)
    check(case, 1)


@pytest.mark.parametrize(("k", "nesterov"), [(20, False), (62, False), (30, True)])
@pytest.mark.parametrize("regs", [(0, 0, 0, 0), (0.1, 0.2, 0.3, 0.4)])
def test_rows_without_velocities_keep_the_bits(k, nesterov, regs):
    d = Sgd(0.05, 0.0, 0.0, nesterov)
    # Rows that occur once, twice and often in a batch.
    for users, items in ((300, 200), (12, 9), (1, 1)):
        case = make_case(k, k, d, users, items, regs=regs)
        check(case, 2)
        without, with_velocities = train(case, 2), train(case, 2, velocity=True)
        assert without[1] == with_velocities[1]
        for a, b in zip(without[0], with_velocities[0], strict=True):
            assert a.tobytes() == b.tobytes()


def test_without_momentum_rows_are_as_wide_as_their_weights():
    width = make_variant(62).width
    assert make_variant(62, momentum=False).stride == width
    assert make_variant(62, momentum=False, nesterov=True).stride == width
    assert make_variant(10, momentum=False).stride == 2 * make_variant(10).width  # short rows
    # A penalty on whole tables moves idle rows.
    assert make_variant(62, momentum=False, table_reg=True).stride == 2 * width


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 10, 14, 15]),
    st.sampled_from([0.0, 0.5, 0.9, 0.99]),
    st.sampled_from([0.0, 0.001, 0.1]),
    st.booleans(),
    st.integers(1, 4),
    st.integers(1, 300),
    st.integers(1, 33),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 3),
)
def test_random_cases(
    seed, k, momentum, reg, nesterov, groups, ratings, batch, users, items, epochs
):
    d = Sgd(0.2 * rate_for(momentum), momentum, reg, nesterov)
    check(make_case(seed, k, d, users, items, groups, ratings, batch), epochs)


def test_validation_error():
    case = make_case(1, 10, Sgd(0.1, 0.9, 0, False), users=50, items=40, ratings=150_000)
    records, (p, q, bu, bi) = case["blocks"][0][0], case["tables"]
    d = case["sgd"]
    variant = make_variant(10)
    orders = [np.random.default_rng(0).permutation(n).astype(np.int32) for n in (50, 40)]
    users = pack(p, bu, orders[0], 0, d, variant)
    items = pack(q, bi, orders[1], 1, d, variant)
    u, i, r = (np.ascontiguousarray(records[name]) for name in ("user", "item", "rating"))
    sums, places = no_sums(1), [*map(places_of, orders)]
    kernel = kernels_for(variant).squared_errors
    kernel(u, i, r, *places, users, items, np.float32(3.5), 2.0**40, sums)
    e = 3.5 + bu[u] + bi[i] + (p[u] * q[i]).sum(1) - records["rating"]
    assert value_of(sums, -40) == pytest.approx((e.astype(float) ** 2).sum(), rel=1e-6)
    # Rows of items without their velocities, in another order of the ratings
    again, order = no_sums(2), np.random.default_rng(1).permutation(len(u))
    only_weights = as_aligned(items[:, :1])
    for n, part in enumerate((order[:1000], order[1000:])):
        some = u[part], i[part], r[part]
        kernel(*some, *places, users, only_weights, np.float32(3.5), 2.0**40, again[n : n + 1])
    assert value_of(again, -40) == value_of(sums, -40)
