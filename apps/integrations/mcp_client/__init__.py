"""Tools of other people's servers, over the Model Context Protocol. Its SDK is imported by `conversation` alone."""
