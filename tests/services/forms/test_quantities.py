"""How quantities are typed, shown and read."""

from decimal import Decimal

import pytest
from django import forms

from services.forms.quantities import MEMORY_UNITS, TIME_UNITS, QuantityField, VcpuField, in_words


class Quantities(forms.Form):
    memory = QuantityField(units=MEMORY_UNITS, of="memory")
    time = QuantityField(units=TIME_UNITS, of="time limit", required=False)
    cpu = VcpuField(max_millis=2000, required=False)


def cleaned(**data: str) -> dict[str, object]:
    form = Quantities({"memory_0": "1", "memory_1": "GiB"} | data)
    assert form.is_valid(), form.errors
    return form.cleaned_data


@pytest.mark.parametrize(
    ("number", "unit", "mebibytes"),
    [("512", "MiB", 512), ("1", "GiB", 1024), ("1.5", "GiB", 1536), ("0.5", "GiB", 512)],
)
def test_a_quantity_is_read_in_its_unit(number, unit, mebibytes):
    assert cleaned(memory_0=number, memory_1=unit)["memory"] == mebibytes


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(3600, [1, "hours"]), (5400, [90, "minutes"]), (45, [45, "seconds"]), (86_400, [24, "hours"])],
)
def test_a_quantity_is_shown_in_the_largest_unit_that_leaves_it_whole(seconds, shown):
    assert Quantities.base_fields["time"].widget.decompress(seconds) == shown


def test_what_was_typed_is_shown_again():
    form = Quantities({"memory_0": "many", "memory_1": "GiB"})
    assert list(form.errors) == ["memory"]
    html = str(form["memory"])
    assert 'value="many"' in html
    assert '<option value="GiB" selected>' in html


def test_one_label_names_the_number_and_the_unit_has_its_own_name():
    field = Quantities()["memory"]
    assert field.id_for_label == "id_memory_0"
    assert 'aria-label="Unit of the memory"' in str(field)


@pytest.mark.parametrize(("data", "field"), [({"memory_1": "PiB"}, "memory"), ({"memory_0": "-1"}, "memory")])
def test_what_is_no_quantity_is_refused(data, field):
    assert list(Quantities({"memory_0": "1", "memory_1": "GiB"} | data).errors) == [field]


def test_vcpus_are_kept_in_thousandths():
    assert cleaned(cpu="0.5")["cpu"] == 500
    assert cleaned(cpu="1.25")["cpu"] == 1250
    assert Quantities(initial={"cpu": 1500})["cpu"].value() == Decimal("1.5")
    assert list(Quantities({"memory_0": "1", "memory_1": "GiB", "cpu": "3"}).errors) == ["cpu"]


def test_vcpus_that_nobody_touched_have_not_changed():
    field = VcpuField(max_millis=8000)
    assert not field.has_changed(1000, "1.0")
    assert field.has_changed(1000, "2")


@pytest.mark.parametrize(("value", "units", "words"), [(1, TIME_UNITS, "1 second"), (7200, TIME_UNITS, "2 hours")])
def test_in_words(value, units, words):
    assert in_words(value, units) == words
