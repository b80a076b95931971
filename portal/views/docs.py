"""The documentation inside the portal, signed in or not."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from portal import documentation


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All pages with a line about each."""
    return render(request, "portal/docs_index.html", {"documents": documentation.documents()})


@require_GET
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """One page, and the way to the others."""
    shown = documentation.document(slug)
    if shown is None:
        raise Http404(f"There is no page {slug} in the documentation.")
    context = {"document": shown, "documents": documentation.documents()}
    return render(request, "portal/docs_page.html", context)
