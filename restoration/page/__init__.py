"""The page: the only part that imports gradio, and nothing but `app.py` imports it."""
