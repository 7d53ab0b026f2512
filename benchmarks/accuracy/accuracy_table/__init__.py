"""The accuracy table of quantisation methods: rows, runs, statistics, text and plot."""
