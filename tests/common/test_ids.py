from apps.common.ids import short_id, uuid7


def test_ids_sort_in_the_order_they_were_made():
    made = [uuid7() for _ in range(1000)]

    assert made == sorted(made)
    assert len(set(made)) == 1000


def test_an_id_is_a_uuid_of_version_7():
    made = uuid7()

    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_people_see_the_last_eight_characters():
    made = uuid7()

    assert short_id(made) == str(made)[-8:]
    assert len(short_id(made)) == 8
