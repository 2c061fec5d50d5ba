"""Draw the report's charts, each a function from values to an SVG element; colours come from `charts.css`.

Every chart takes the width it may use, so that the page can carry one drawing for wide screens and paper and one for
phones. Not covered: interaction beyond the tips that a browser shows by itself.
"""
