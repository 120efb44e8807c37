"""What a single framework needs beyond WSGI."""
