"""Tell people: route, group, inhibit, silence, deliver."""
