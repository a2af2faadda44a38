"""What can be removed from a network: channel groups, cuts, masks, scores, targets, costs.

May import plan.
"""
