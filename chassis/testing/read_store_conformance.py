"""What every read store owes, whichever engine keeps it: inherit the suite and give it fixtures `store` and `another`.

`store` is an opened, empty `ReadStore`; `another` an opened one on the same documents, as another process has it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from chassis.read_store.port import (
    FIRST,
    WHOLE,
    Aside,
    Change,
    Contains,
    DocumentKey,
    Kept,
    Model,
    NoSuchModel,
    NotIndexed,
    ProjectionFailed,
    Range,
    ReadStore,
    Retired,
    canonical,
)

INDEXES = ("stage", "amount", "account.country", "stage,amount", "partner_ids[]", "due_at")
TENANT = "t-1"


def put(
    model: str, documents: Mapping[str, Any], *, position: int = 1, lane: str = "own", tenant: str = TENANT
) -> Change:
    """A change that sets the documents (None removes one) and brings the lane to the position."""
    changed = {(tenant, one): Kept(document, {lane: position}) for one, document in documents.items()}
    return Change(model=model, lane=lane, keys=list(changed), fold=lambda *_: changed, reached={WHOLE: position})


async def filled(store: ReadStore, documents: Mapping[str, Any]) -> Model:
    model = await store.prepare("board", 1, INDEXES)
    await store.change(put(model.model, documents))
    return model


class ReadStoreConformance:
    """Inherit and define the fixtures `store` and `another`."""

    async def test_a_document_is_found_by_tenant_and_id(self, store: ReadStore) -> None:
        await filled(store, {"a": {"stage": "new", "note": "Zoë"}})

        assert await store.get("board", TENANT, "a") == {"stage": "new", "note": "Zoë"}
        assert await store.get("board", TENANT, "b") is None
        assert await store.get("board", "t-2", "a") is None

    async def test_several_documents_are_found_by_id(self, store: ReadStore) -> None:
        await filled(store, {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})

        assert await store.get_many("board", TENANT, ["a", "c", "x"]) == {"a": {"n": 1}, "c": {"n": 3}}
        assert await store.get_many("board", TENANT, []) == {}

    async def test_a_model_nobody_prepared_is_refused(self, store: ReadStore) -> None:
        with pytest.raises(NoSuchModel):
            await store.get("board", TENANT, "a")

    async def test_a_removed_document_is_gone_everywhere(self, store: ReadStore) -> None:
        model = await filled(store, {"a": {"stage": "new", "partner_ids": ["p-1"]}})

        await store.change(put(model.model, {"a": None}, position=2))

        assert await store.get("board", TENANT, "a") is None
        assert await store.count("board", TENANT, {"partner_ids": Contains("p-1")}) == 0

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ({"stage": "new"}, ["a", "b"]),
            ({"stage": ("won", "lost")}, ["c", "d"]),
            ({"stage": ()}, []),
            ({"stage": "new", "amount": 20}, ["b"]),
            ({"account.country": "DE"}, ["a"]),
            ({"account.country": None}, ["c", "d"]),
            ({"account.country": (None, "DE")}, ["a", "c", "d"]),
            ({"partner_ids": Contains("p-1")}, ["a", "c"]),
            ({"partner_ids": Contains("p-none", ("p-1",))}, ["a", "c"]),
            ({"partner_ids": Contains("p-none", ("p-neither", "p-1"))}, ["a", "c"]),
            ({"others": Contains("x", ("none",))}, ["d"]),
            ({"others": Contains("x")}, ["d"]),
            ({"amount": Range(at_least=20, below=40)}, ["b", "c"]),
            ({"open": True}, ["a"]),
            ({"id": ("b", "d", "x")}, ["b", "d"]),
        ],
    )
    async def test_filters_all_have_to_hold(self, store: ReadStore, where: Any, expected: list[str]) -> None:
        await filled(
            store,
            {
                "a": {
                    "id": "a",
                    "stage": "new",
                    "amount": 10,
                    "partner_ids": ["p-1", "p-2"],
                    "account": {"country": "DE"},
                }
                | {"open": True},
                "b": {"id": "b", "stage": "new", "amount": 20, "partner_ids": ["p-2"], "account": {"country": "FR"}},
                "c": {"id": "c", "stage": "won", "amount": 30, "partner_ids": ["p-1"], "open": False},
                "d": {"id": "d", "stage": "lost", "amount": 40, "others": ["x"]},
            },
        )

        page = await store.find("board", TENANT, where)

        assert [item["id"] for item in page.items] == expected
        assert await store.count("board", TENANT, where) == len(expected)
        assert await store.count("board", "t-2", where) == 0

    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            ("id", ["a", "b", "c", "d", "e"]),
            ("-id", ["e", "d", "c", "b", "a"]),
            ("amount", ["b", "e", "a", "c", "d"]),
            ("-amount", ["d", "c", "a", "e", "b"]),
        ],
    )
    async def test_pages_of_every_size_join_without_a_gap(
        self, store: ReadStore, sort: str, expected: list[str]
    ) -> None:
        amounts = {"a": 10, "b": None, "c": 10, "d": 30, "e": None}
        await filled(store, {one: {"id": one, "amount": amount} for one, amount in amounts.items()})

        for limit in (1, 2, 3, 5, 6):
            assert await self._walk(store, sort, limit) == expected

    async def _walk(self, store: ReadStore, sort: str, limit: int) -> list[str]:
        found: list[str] = []
        after: Sequence[Any] | None = None
        while True:
            page = await store.find("board", TENANT, sort=sort, after=after, limit=limit)
            found += [item["id"] for item in page.items]
            if page.next_cursor is None:
                return found
            after = list(page.next_cursor)

    async def test_a_sort_without_an_index_is_refused(self, store: ReadStore) -> None:
        await filled(store, {})

        with pytest.raises(NotIndexed, match="note"):
            await store.find("board", TENANT, sort="note")

    @pytest.mark.parametrize("field", ["a') OR 1=1 --", "a b", "", "a.", "$"])
    async def test_a_field_name_cannot_carry_a_query(self, store: ReadStore, field: str) -> None:
        await filled(store, {})

        with pytest.raises(ValueError, match="not a field"):
            await store.find("board", TENANT, {field: 1})

    async def test_an_index_made_later_knows_the_documents_already_there(self, store: ReadStore) -> None:
        model = await store.prepare("board", 1, ())
        await store.change(put(model.model, {"a": {"id": "a", "n": 1, "tags": ["x"]}}))

        await store.prepare("board", 1, ("n", "tags[]"))

        assert (await store.find("board", TENANT, {"tags": Contains("x")}, sort="-n")).items == [
            {"id": "a", "n": 1, "tags": ["x"]}
        ]

    async def test_a_fold_meets_what_is_kept(self, store: ReadStore) -> None:
        model = await filled(store, {"a": {"n": 1}, "b": {"n": 2}})
        met: list[Any] = []

        def fold(kept: Mapping[DocumentKey, Kept], checkpoints: Mapping[str, int]) -> dict[DocumentKey, Kept]:
            met.append((dict(kept), dict(checkpoints)))
            return {}

        keys = [(TENANT, "a"), (TENANT, "new"), ("t-2", "b")]
        await store.change(Change(model=model.model, lane="own", keys=keys, fold=fold, reached={}))

        assert met == [({(TENANT, "a"): Kept({"n": 1}, {"own": 1})}, {WHOLE: 1})]

    async def test_thousands_of_documents_change_together(self, store: ReadStore) -> None:
        model = await filled(store, {f"d{n}": {"n": n} for n in range(2_500)})
        met: list[int] = []

        def fold(kept: Mapping[DocumentKey, Kept], _: Mapping[str, int]) -> dict[DocumentKey, Kept]:
            met.append(len(kept))
            return {
                key: Kept({"n": one.document["n"] + 1} if one.document and one.document["n"] % 2 else None, {"own": 2})
                for key, one in kept.items()
            }

        keys = [(TENANT, f"d{n}") for n in range(2_501)]
        await store.change(Change(model=model.model, lane="own", keys=keys, fold=fold, reached={WHOLE: 2}))

        left = await store.get_many("board", TENANT, ["d0", "d1", "d2499"])
        exported = await store.export(model.model, limit=2_000)
        assert (met, len(exported), left) == ([2_500], 1_250, {"d1": {"n": 2}, "d2499": {"n": 2_500}})

    async def test_a_failing_fold_writes_nothing_and_holds_up_nobody(self, store: ReadStore) -> None:
        model = await filled(store, {"a": {"n": 1}})

        def fold(*_: Any) -> dict[DocumentKey, Kept]:
            raise ProjectionFailed("bug")

        bad = Change(model=model.model, lane="own", keys=[(TENANT, "b")], fold=fold, reached={WHOLE: 9})
        with pytest.raises(ProjectionFailed):
            await store.change(bad)
        await store.change(put(model.model, {"b": {"n": 2}}, lane="other"))

        (kept,) = await store.models()
        assert kept.checkpoints == {"own": {WHOLE: 1}, "other": {WHOLE: 1}}

    @pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes"])
    async def test_what_is_not_json_is_the_projections_fault(self, store: ReadStore, value: Any) -> None:
        model = await filled(store, {"a": {"n": 1}})

        with pytest.raises(ProjectionFailed, match="not plain JSON"):
            await store.change(put(model.model, {"a": {"n": 2}, "b": {"n": value}}, position=2))

        assert await store.get("board", TENANT, "a") == {"n": 1}

    async def test_checkpoints_only_rise(self, store: ReadStore) -> None:
        model = await store.prepare("board", 1, ())
        await store.change(put(model.model, {}, position=7))
        await store.change(put(model.model, {}, position=5))

        (kept,) = await store.models()

        assert kept.checkpoints == {"own": {WHOLE: 7}}

    async def test_documents_are_exported_in_one_spelling(self, store: ReadStore) -> None:
        model = await filled(store, {"b": {"z": 1, "a": {"y": 1.5, "x": None}}, "a": {"ü": "é"}})

        assert await store.export(model.model) == [
            ((TENANT, "a"), '{"ü":"é"}'.encode()),
            ((TENANT, "b"), b'{"a":{"x":null,"y":1.5},"z":1}'),
        ]
        assert await store.export(model.model, after=(TENANT, "a"), limit=5) == [
            ((TENANT, "b"), b'{"a":{"x":null,"y":1.5},"z":1}')
        ]

    async def test_a_new_version_is_filled_beside_the_live_one_and_then_swapped_in(self, store: ReadStore) -> None:
        first = await filled(store, {"a": {"n": 1}})
        second = await store.prepare("board", 2, ("n",), behind=["registration"])
        await store.change(put(second.model, {"a": {"n": 2}}))

        assert (first.live, second.live, second.behind) == (True, False, frozenset({"registration"}))
        assert await store.get("board", TENANT, "a") == {"n": 1}

        await store.set_behind(second.model, "registration", behind=False)
        await store.go_live(second.model)

        assert await store.get("board", TENANT, "a") == {"n": 2}
        assert [(model.model, model.live, model.behind) for model in await store.models()] == [
            (second.model, True, frozenset())
        ]
        with pytest.raises(Retired):
            await store.change(put(first.model, {"a": {"n": 3}}, position=2))

    async def test_a_rebuild_is_another_generation_of_the_same_version(self, store: ReadStore) -> None:
        first = await filled(store, {"a": {"n": 1}})
        again = await store.prepare("board", 1, INDEXES, birth="again")

        assert (again.generation, again.live, again.model != first.model) == (2, False, True)
        assert await store.export(again.model) == []

    async def test_a_half_filled_version_goes_on_where_it_was(self, store: ReadStore) -> None:
        await filled(store, {})
        second = await store.prepare("board", 2, (), behind=["registration"])
        await store.change(put(second.model, {}, position=5, lane="registration"))

        found = await store.prepare("board", 2, (), behind=["registration", "attribution"])

        assert (found.model, found.behind) == (second.model, frozenset({"registration"}))
        assert found.checkpoints == {"registration": {WHOLE: 5}}

    async def test_a_message_kept_aside_marks_the_model_incomplete_until_it_is_rebuilt(self, store: ReadStore) -> None:
        model = await filled(store, {})
        aside = Aside(source="own", tenant=TENANT, position=3, type="x.Y.v1", id="e-3", reason="no field z", body=b"{}")
        change = Change(
            model=model.model, lane="own", keys=[], fold=lambda *_: {}, reached={WHOLE: 3}, asides=[aside, aside]
        )

        await store.change(change)

        assert await store.asides(model.model) == [aside]
        assert [kept.incomplete for kept in await store.models()] == [True]

        again = await store.prepare("board", 1, INDEXES, birth="again")
        await store.go_live(again.model)

        assert [kept.incomplete for kept in await store.models()] == [False]

    async def test_what_is_due_is_found_for_every_tenant_oldest_first(self, store: ReadStore) -> None:
        model = await filled(store, {"b": {"due_at": "2026-03-02T00:00:00Z"}, "x": {"due_at": None}})
        await store.change(put(model.model, {"a": {"due_at": "2026-03-01T00:00:00Z"}}, tenant="t-2", position=2))
        await store.change(put(model.model, {"c": {"due_at": "2026-03-09T00:00:00Z"}}, position=3))

        due = await store.due("board", "2026-03-02T00:00:00Z", 10)

        assert [(item.tenant, item.id, item.due_at) for item in due] == [
            ("t-2", "a", "2026-03-01T00:00:00Z"),
            (TENANT, "b", "2026-03-02T00:00:00Z"),
        ]
        assert [item.id for item in await store.due("board", "2026-03-02T00:00:00Z", 1)] == ["a"]

    async def test_what_is_due_is_read_on_behind_a_place(self, store: ReadStore) -> None:
        first, then = {"due_at": "2026-03-01T00:00:00Z"}, {"due_at": "2026-03-02T00:00:00Z"}
        model = await filled(store, {"b": first, "c": first, "a": then})
        await store.change(put(model.model, {"a": first}, tenant="t-2", position=2))

        found, place = [], FIRST
        while due := await store.due("board", "2026-03-02T00:00:00Z", 1, place):
            found.append((due[0].tenant, due[0].id))
            place = due[0].place

        assert found == [(TENANT, "b"), (TENANT, "c"), ("t-2", "a"), (TENANT, "a")]

    async def test_what_was_issued_is_due_again_only_at_another_date(self, store: ReadStore) -> None:
        model = await filled(store, {"a": {"due_at": "2026-03-01T00:00:00Z", "n": 1}})
        await store.mark_issued("board", await store.due("board", "2026-04-01T00:00:00Z", 10))

        await store.change(put(model.model, {"a": {"due_at": "2026-03-01T00:00:00Z", "n": 2}}, position=2))
        assert await store.due("board", "2026-04-01T00:00:00Z", 10) == []

        await store.change(put(model.model, {"a": {"due_at": "2026-03-05T00:00:00Z", "n": 2}}, position=3))
        assert [item.due_at for item in await store.due("board", "2026-04-01T00:00:00Z", 10)] == [
            "2026-03-05T00:00:00Z"
        ]

    async def test_what_was_issued_is_due_again_at_the_same_instant_in_another_turn(self, store: ReadStore) -> None:
        instant = {"due_at": "2026-03-01T00:00:00Z"}
        model = await filled(store, {"a": {**instant, "turn": "one"}, "b": instant})
        await store.mark_issued("board", await store.due("board", "2026-04-01T00:00:00Z", 10))
        assert await store.due("board", "2026-04-01T00:00:00Z", 10) == []

        both = {"a": {**instant, "turn": "two"}, "b": {**instant, "turn": "first"}}
        await store.change(put(model.model, both, position=2))
        again = await store.due("board", "2026-04-01T00:00:00Z", 10)
        assert [(item.id, item.document["turn"]) for item in again] == [("a", "two"), ("b", "first")]

        await store.mark_issued("board", again)
        assert await store.due("board", "2026-04-01T00:00:00Z", 10) == []

    async def test_what_one_process_writes_every_other_reads(self, store: ReadStore, another: ReadStore) -> None:
        model = await filled(store, {"a": {"stage": "new"}})
        found = await another.prepare("board", 1, INDEXES)

        await store.change(put(model.model, {"a": {"stage": "won"}}, position=2))

        assert (found.model, found.checkpoints) == (model.model, {"own": {WHOLE: 1}})
        assert await another.get("board", TENANT, "a") == {"stage": "won"}
        assert [kept.checkpoints for kept in await another.models()] == [{"own": {WHOLE: 2}}]

    async def test_a_process_that_remembers_the_old_version_meets_the_new_one(
        self, store: ReadStore, another: ReadStore
    ) -> None:
        first = await filled(store, {"a": {"id": "a", "n": 1}})
        assert await another.get("board", TENANT, "a") == {"id": "a", "n": 1}
        second = await store.prepare("board", 2, ("n",))
        await store.change(put(second.model, {"a": {"id": "a", "n": 2}}))
        await store.go_live(second.model)

        assert await another.get("board", TENANT, "a") == {"id": "a", "n": 2}
        assert (await another.find("board", TENANT, sort="n")).items == [{"id": "a", "n": 2}]
        assert await another.count("board", TENANT, {"n": 2}) == 1
        with pytest.raises(Retired):
            await another.change(put(first.model, {"a": {"id": "a", "n": 3}}, position=2))

    async def test_processes_that_change_one_document_lose_nothing(self, store: ReadStore, another: ReadStore) -> None:
        model = await store.prepare("board", 1, ())
        adding = [
            one.change(_added(model.model, lane, position))
            for position in range(1, 11)
            for lane, one in (("own", store), ("other", another), ("third", store))
        ]

        await asyncio.gather(*adding)

        document = await store.get("board", TENANT, "sum")
        assert document is not None
        assert sorted(document["seen"]) == sorted([lane, n] for lane in ("own", "other", "third") for n in range(1, 11))

    async def test_processes_that_start_together_have_one_live_version(
        self, store: ReadStore, another: ReadStore
    ) -> None:
        found = await asyncio.gather(
            *(
                one.prepare(f"board_{n}", version, INDEXES)
                for n in range(3)
                for version, one in ((1, store), (2, another))
            )
        )

        assert sorted(model.name for model in found if model.live) == ["board_0", "board_1", "board_2"]

    async def test_processes_that_start_while_their_version_is_replaced_have_it(
        self, store: ReadStore, another: ReadStore
    ) -> None:
        await store.prepare("board", 1, ())
        for version in range(1, 6):
            following = await another.prepare("board", version + 1, ())

            replacing = asyncio.create_task(another.go_live(following.model))
            starting = []
            for _ in range(12):  # each begins a question later than the one before
                starting.append(asyncio.create_task(store.prepare("board", version, ())))
                await store.get("board", TENANT, "a")
            await replacing

            assert {model.version for model in await asyncio.gather(*starting)} == {version}

    async def test_changes_of_several_models_may_come_together(self, store: ReadStore) -> None:
        models = [await store.prepare(f"board_{n}", 1, ()) for n in range(8)]

        await asyncio.gather(*(store.change(put(model.model, {"a": {"n": 1}})) for model in models))

        assert [await store.get(f"board_{n}", TENANT, "a") for n in range(8)] == [{"n": 1}] * 8

    async def test_a_change_that_comes_with_others_meets_what_those_before_it_made(self, store: ReadStore) -> None:
        model = (await filled(store, {"a": {"n": 1}})).model
        met: list[Mapping[str, int]] = []

        def after(kept: Mapping[DocumentKey, Kept], reached: Mapping[str, int]) -> Mapping[DocumentKey, Kept]:
            found = {one: kept[TENANT, one].document for one in "ab" if (TENANT, one) in kept}
            met.append({one: document["n"] for one, document in found.items() if document is not None})
            met.append(dict(reached))
            return {}

        looks = Change(model=model, lane="own", keys=[(TENANT, "a"), (TENANT, "b")], fold=after, reached={WHOLE: 4})
        await asyncio.gather(
            store.change(put(model, {"a": None}, position=2)),
            store.change(put(model, {"b": {"n": 2}}, position=3)),
            store.change(looks),
            store.change(put(model, {"a": {"n": 5}}, position=5)),
        )

        assert met[-2:] == [{"b": 2}, {WHOLE: 3}]
        assert await store.get_many("board", TENANT, ["a", "b"]) == {"a": {"n": 5}, "b": {"n": 2}}
        assert (await store.models())[0].checkpoints == {"own": {WHOLE: 5}}

    async def test_a_document_of_thousands_that_is_not_json_holds_up_no_other_change(self, store: ReadStore) -> None:
        model = (await filled(store, {})).model
        broken = {f"d-{n}": {"n": n} for n in range(2_500)} | {"broken": {"n": object()}}

        failed, kept = await asyncio.gather(
            store.change(put(model, broken, position=2, lane="other")),
            store.change(put(model, {"b": {"n": 2}}, position=2)),
            return_exceptions=True,
        )

        assert (type(failed), kept) == (ProjectionFailed, None)
        assert await store.get_many("board", TENANT, ["b", "d-0", "d-2499"]) == {"b": {"n": 2}}
        assert (await store.models())[0].checkpoints == {"own": {WHOLE: 2}}

    async def test_a_retired_model_holds_up_no_other_change(self, store: ReadStore) -> None:
        model = await filled(store, {})

        gone, kept = await asyncio.gather(
            store.change(put("board__v9", {"a": {"n": 1}})),
            store.change(put(model.model, {"b": {"n": 2}}, position=2)),
            return_exceptions=True,
        )

        assert (type(gone), kept) == (Retired, None)
        assert await store.get("board", TENANT, "b") == {"n": 2}

    @pytest.mark.parametrize(
        "value",
        [
            "nul \0 and \\\0 and \\u0000",
            1e16,
            1.5e-7,
            -0.0,
            [1.5, -1.5e-7, -0.0, -1e16],
            0.1,
            1.0,
            2**53 + 1,
            2**63 - 1,
            -(2**63),
            3_000_000_000,
            "ﬀ\uffff😀",
            {"a.b": {"$c": [1, [None, True]]}, "": {}},
        ],
    )
    async def test_a_document_comes_back_as_it_was_written(self, store: ReadStore, value: Any) -> None:
        model = await filled(store, {"a": {"kept": value, "id": "a"}})
        met: list[Any] = []
        keys = [(TENANT, "a")]

        def fold(kept: Mapping[DocumentKey, Kept], _: Mapping[str, int]) -> dict[DocumentKey, Kept]:
            met.append(kept[keys[0]].document)
            return {}

        await store.change(Change(model=model.model, lane="own", keys=keys, fold=fold, reached={}))

        found = [await store.get("board", TENANT, "a"), (await store.find("board", TENANT)).items[0], met[0]]
        assert [canonical(document or {}) for document in found] == [canonical({"kept": value, "id": "a"})] * 3
        assert await store.export(model.model) == [((TENANT, "a"), canonical({"kept": value, "id": "a"}))]

    async def test_text_that_no_document_holds_is_asked_for_in_vain(self, store: ReadStore) -> None:
        await filled(store, {"a": {"id": "a", "stage": "new", "partner_ids": ["p-1"]}})

        assert await store.get("board", TENANT, "a\0") is None
        assert (await store.find("board", TENANT, {"stage": "new\0"})).items == []
        assert await store.count("board", TENANT, {"partner_ids": Contains("p-1\0")}) == 0

    async def test_a_list_that_is_one_value_is_no_list(self, store: ReadStore) -> None:
        await filled(store, {"a": {"id": "a", "partner_ids": "p-1", "others": "x"}})

        assert await store.count("board", TENANT, {"partner_ids": Contains("p-1")}) == 0
        assert await store.count("board", TENANT, {"others": Contains("x")}) == 0

    async def test_text_is_sorted_by_its_code_points(self, store: ReadStore) -> None:
        stages = {"a": "b", "b": "B", "c": "a-b", "d": "ab", "e": "é", "f": "2026-01-01T00:00:00.5Z"}
        await filled(store, {one: {"id": one, "stage": stage} for one, stage in stages.items()})

        page = await store.find("board", TENANT, sort="stage")

        assert [item["id"] for item in page.items] == ["f", "b", "c", "d", "a", "e"]


def _added(model: str, lane: str, position: int) -> Change:
    """A change that adds what it is to the one document `sum`."""
    key = (TENANT, "sum")

    def fold(kept: Mapping[DocumentKey, Kept], checkpoints: Mapping[str, int]) -> dict[DocumentKey, Kept]:
        before = kept.get(key, Kept(None, {}))
        seen = (before.document or {"seen": []})["seen"]
        return {key: Kept({"seen": [*seen, [lane, position]]}, {**before.guards, lane: position})}

    return Change(model=model, lane=lane, keys=[key], fold=fold, reached={WHOLE: position})
