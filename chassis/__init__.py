"""What every service is bolted onto: events, decisions, stores, transport, projections, HTTP. No business word in it."""

import gc

# Before all else is imported: its classes and routes stay, and what is dropped later has few cycles. Looking through
# them again and again would be a tenth of every start.
gc.set_threshold(50_000, 20, 20)
