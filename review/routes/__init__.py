"""The pages, a module each kind. Every module has `routes`; `review.app` finds them by that."""
