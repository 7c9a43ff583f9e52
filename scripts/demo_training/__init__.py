"""How anynode-demo is trained, saved and judged; `train_demo_model.py` is the command."""
