"""What is done with agents outside of workflow runs."""
