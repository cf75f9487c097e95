"""The form that makes a channel."""

from django import forms

MOST_CHARACTERS = 500


class ChannelForm(forms.Form):
    """A channel, as people make one."""

    name = forms.CharField(
        max_length=100,
        help_text="By which agents and workflows find it: letters, digits, “_”, “-” and “.”.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    description = forms.CharField(
        max_length=MOST_CHARACTERS, required=False, help_text="What is told on it, and to whom."
    )
