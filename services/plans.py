"""What a subscription costs. Each service has one free plan for now; the model has room for others."""

from django.db import transaction

from services.models import PricingPlan, Product, Service


def free_plan(service: Service) -> PricingPlan:
    """The free plan of ``service``, made with its first publication. Its products count, and cost nothing."""
    with transaction.atomic():
        plan, is_new = PricingPlan.objects.get_or_create(
            service=service, name=PricingPlan.Kind.FREE.label, defaults={"kind": PricingPlan.Kind.FREE}
        )
        if is_new:
            Product.objects.bulk_create(Product(plan=plan, unit=unit, price=0) for unit in Product.Unit)
    return plan
