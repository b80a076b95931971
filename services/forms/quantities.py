"""Amounts: people type a number and its unit, the models keep whole numbers of the smallest one."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms

MEMORY_UNITS = {"MiB": 1, "GiB": 1024}
TIME_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}
MILLIS_A_VCPU = 1000


class QuantityWidget(forms.MultiWidget):
    """A number and its unit, side by side; one label names both."""

    def __init__(self, *, units: Mapping[str, int], of: str) -> None:
        self.units = units
        number = forms.NumberInput(attrs={"step": "any", "min": 0, "inputmode": "decimal"})
        unit = forms.Select(choices=[(name, name) for name in units], attrs={"aria-label": f"Unit of the {of}"})
        super().__init__([number, unit], attrs={"class": "quantity"})

    def decompress(self, value: int | None) -> list[Any]:
        """``value`` in the largest unit that leaves it whole."""
        if value is None:
            return [None, next(iter(self.units))]
        name, factor = max(
            ((name, factor) for name, factor in self.units.items() if value % factor == 0), key=lambda unit: unit[1]
        )
        return [value // factor, name]

    def id_for_label(self, id_: str) -> str:
        return f"{id_}_0"


class QuantityField(forms.MultiValueField):
    """A whole number of the smallest unit, typed in any of ``units`` (name → how many of the smallest)."""

    widget: QuantityWidget

    def __init__(self, *, units: Mapping[str, int], of: str, **options: Any) -> None:
        self.units = units
        number = forms.DecimalField(min_value=0, max_digits=12, decimal_places=4)
        unit = forms.ChoiceField(choices=[(name, name) for name in units])
        super().__init__([number, unit], widget=QuantityWidget(units=units, of=of), **options)
        self.widget.use_fieldset = False

    def compress(self, data_list: list[Any]) -> int | None:
        if not data_list:
            return None
        number, unit = data_list
        return round(number * self.units[unit])


class VcpuField(forms.DecimalField):
    """Virtual CPUs as people say them (0.5), thousandths of one as the model keeps them (500)."""

    def __init__(self, *, max_millis: int, **options: Any) -> None:
        super().__init__(min_value=Decimal("0.1"), max_value=in_vcpus(max_millis), decimal_places=3, **options)
        self.widget.attrs["step"] = "0.1"

    def clean(self, value: Any) -> int | None:
        vcpus = super().clean(value)
        return None if vcpus is None else int(vcpus * MILLIS_A_VCPU)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def prepare_value(self, value: Any) -> Any:
        return in_vcpus(value) if isinstance(value, int) else value


def in_vcpus(millis: int) -> Decimal:
    """Thousandths of a vCPU as vCPUs, without zeros at the end."""
    return Decimal(f"{Decimal(millis) / MILLIS_A_VCPU:f}")


def in_words(value: int, units: Mapping[str, int]) -> str:
    """``value`` of the smallest unit with the largest that leaves it whole: `24 hours`, `1 GiB`."""
    number, unit = QuantityWidget(units=units, of="").decompress(value)
    return f"{number:,} {unit[:-1] if number == 1 and unit.endswith('s') else unit}"
