"""`make measure-demo`: everything that was measured of the demo checkpoints, measured again."""
