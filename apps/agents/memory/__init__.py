"""What agents remember: sessions, which runs go on with, and memories, which are found by what they are about.

PostgreSQL has all of it; Redis has copies of the last turns, and losing them loses nothing.
"""
