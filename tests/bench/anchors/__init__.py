"""Our methods against VIP, pyKLIP and PynPoint on identical inputs, in one run."""
