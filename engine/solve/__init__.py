# SPDX-License-Identifier: GPL-3.0-or-later
"""Few numbers from photos: poses, lenses, distortion, placement.

``least_squares`` is the solver, ``pictures`` makes residuals of it from renders and photos, ``rig`` turns numbers into
cameras, ``cameras`` plans and runs the fit of cameras. Another kind of unknown (the pose of an object, the place of a
light) needs a function from values to a picture and, where it moves things in the picture, one from values to places.
"""
