"""``podshare import``: records that describe what was set up by hand, and the handing over of a team to podshare."""
