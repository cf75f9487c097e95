"""The language models that an organization has set up."""

from django.db import models

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField
from apps.integrations.models.vault import Secret


class ModelProvider(OrganizationModel):
    """Somebody who serves models. Each of them can be asked for as `<provider>/<model>`."""

    OPENAI = "openai"  # the kind of everything that speaks OpenAI's chat protocol

    name = models.CharField(max_length=50)
    kind = models.CharField(max_length=50, default=OPENAI)  # any other is one of litellm's providers
    base_url = models.URLField(max_length=500, blank=True, default="")  # empty: the provider's own
    key = models.ForeignKey(Secret, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="one_provider_of_a_name")]

    def __str__(self) -> str:
        return self.name


class ModelSetting(OrganizationModel):
    """A model under a name of the organization's own, with what is to hold for it."""

    name = models.CharField(max_length=100)
    provider = models.ForeignKey(ModelProvider, on_delete=models.CASCADE, related_name="settings")
    model = models.CharField(max_length=200)  # as its provider calls it
    fallbacks = JSONTextField(default=list)  # names of models that are asked where this one does not answer
    options = JSONTextField(default=dict)  # such as temperature; a node's own come before these
    seconds = models.PositiveIntegerField(default=120)  # that an answer may take
    cache_seconds = models.PositiveIntegerField(
        default=0
    )  # that an answer is given again to the same question; 0: never
    is_default = models.BooleanField(default=False)
    # Dollars for a million tokens; where all are empty, what litellm knows of the model counts.
    input_price = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    cached_price = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    output_price = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="one_model_of_a_name"),
            models.UniqueConstraint(
                fields=["organization"], condition=models.Q(is_default=True), name="one_default_model"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CachedAnswer(OrganizationModel):
    """What a model has answered, for the same question of the same organization."""

    digest = models.CharField(max_length=64)  # of all that makes the question
    record = JSONTextField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "digest"], name="one_answer_of_a_question")]

    def __str__(self) -> str:
        return self.digest[:12]
