"""What the pages that list things read: few queries, each bounded however many rows there are."""
