from recordings import conversation, made, speak

from avatarwire.recording import differences


def test_a_recording_is_the_same_as_itself(tmp_path):
    recording = made(tmp_path, conversation)
    assert differences(recording, recording) == []


def told(name, at, seq, cut):
    def tell(to, set_time):
        set_time(at)
        to.message("sent", "text", f'{{"name":"start","id":"{name}","seq":{seq},"ts":{seq}}}')
        for _ in range(400 // cut):
            to.message("sent", "binary", b"\x01\x02" * cut)
        to.message("sent", "text", f'{{"name":"finish","id":"{name}"}}')

    return tell


def test_ids_times_and_the_cut_of_sound_make_no_difference(tmp_path):
    first = told("0b7edb9e-9777-4084-adb5-adc266173e80", 0, 1, 40)
    second = told("9233681b-1bad-4376-a474-8808782f2308", 1, 9, 100)
    assert differences(made(tmp_path / "a", first), made(tmp_path / "b", second)) == []


def test_another_word_other_sound_and_what_is_missing_are_told(tmp_path):
    def other(to, set_time):
        set_time(1)
        to.message("sent", "text", '{"name":"start","id":"x","text":"new"}')
        to.message("sent", "binary", b"\x01\x03" * 400)

    def one(to, set_time):
        set_time(2)
        to.message("sent", "text", '{"name":"start","id":"x","text":"old"}')
        to.message("sent", "binary", b"\x01\x02" * 400)
        to.message("received", "text", "only here")

    found = differences(made(tmp_path / "a", one), made(tmp_path / "b", other))
    assert [(each.sign, each.direction, each.at_s) for each in found] == [
        ("-", "send", 2.0), ("-", "send", 2.0), ("+", "send", 1.0), ("+", "send", 1.0),
        ("-", "recv", 2.0),
    ]  # fmt: skip
    assert '"text":"old"' in found[0].words
    assert found[1].words.startswith("audio 0.40 s at 1000 Hz, ")
    assert found[1].words != found[3].words
    assert found[4].words == "only here"


def test_without_content_lengths_are_compared(tmp_path):
    def longer(to, at):
        speak(to, "a", 0, 500)

    def shorter(to, at):
        speak(to, "a", 0, 400)

    a, b = (made(tmp_path / t.__name__, t, content=False) for t in (longer, shorter))
    assert [each.words for each in differences(a, b)] == [
        "audio 0.50 s at 1000 Hz", "audio 0.40 s at 1000 Hz"
    ]  # fmt: skip
