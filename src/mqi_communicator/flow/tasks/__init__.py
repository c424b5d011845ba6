"""What is done at the desk, in a child process: files are read and written, the deciding is done by pure rooms."""
