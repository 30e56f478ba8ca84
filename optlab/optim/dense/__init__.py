"""Machinery of the dense methods: one flat vector, its linear algebra, its trees."""
