"""What is learned where a point says nothing but valid or not."""
