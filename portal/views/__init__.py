"""Pages that belong to no app: landing page, dashboard, palette, documentation, styleguide, errors, health."""
