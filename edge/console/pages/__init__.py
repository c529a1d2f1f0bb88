"""The pages, one module each: `draw(view)` fills the frame of view.page."""
