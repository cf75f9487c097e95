import getpass
import os
import sys
from typing import Any

from apps.common.commands import OrchestraCommand, argument, subcommand
from apps.common.errors import BadRequest, NotFound
from apps.common.money import usd
from apps.integrations import selectors
from apps.integrations.language_models.providers import needs_address
from apps.integrations.language_models.registry import WITHOUT_ANY
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.serializers.model_providers import provider_json
from apps.integrations.serializers.models import ModelView, all_models, model_view, trial_json
from apps.integrations.services import first_models
from apps.integrations.services.model_providers import add_provider, change_provider, delete_provider
from apps.integrations.services.model_settings import delete_model
from apps.integrations.services.model_trials import Trial, try_model


class Command(OrchestraCommand):
    help = "Sets up, shows and tries the language models that an organization can ask."

    @subcommand()
    def list_(self) -> None:
        """List the models by name, with what a million tokens cost."""
        columns = ["name", "served_by", "default", "in", "out", "fallbacks"]
        self.table(map(self._row, all_models()), columns)
        self.next_step("bin/manage models test NAME")

    @subcommand()
    def providers(self) -> None:
        """List who serves models, and what is set up of them; never a key."""
        rows = list(map(self._provider_row, selectors.providers()))
        self.table(rows, {"name": "name", "kind": "kind", "base_url": "address", "hint": "key", "models": "models"})
        if not rows:
            self.next_step("bin/manage models add openai --default gpt-5-mini")

    @subcommand(
        argument("name", metavar="NAME", help="what the provider is called here; it may be there already"),
        argument("--kind", metavar="KIND", help="openai, anthropic, openai_compatible, ...; without it NAME says it"),
        argument("--base-url", default="", metavar="URL", help="where it is, of an openai_compatible one"),
        argument("--key-env", metavar="VARIABLE", help="has the key; without it the key is read from standard input"),
        argument("--default", metavar="MODEL", help="ask this model of it, and make it the default when it answers"),
        argument("--untested", action="store_true", help="make it the default without asking it"),
    )
    def add(self, name: str, default: str | None, options: dict[str, Any]) -> None:
        """Set up a provider, and its model as the default; a key that is refused is not kept."""
        known = None if options["kind"] else selectors.providers().filter(name=name).first()
        if known is not None:
            self._go_on_with(known, default, options)
            return
        kind = options["kind"] or name
        key = _key(kind, options["key_env"])
        sent = {"kind": kind, "name": name, "key": key, "base_url": options["base_url"]}
        if default is None or options["untested"]:
            self._kept(add_provider(self.organization, **sent), default)
        else:
            self._begun(first_models.begin_with(self.organization, **sent, model=default, caller="cli"))

    def _go_on_with(self, provider: ModelProvider, default: str | None, options: dict[str, Any]) -> None:
        """Give a provider that is there another key, another default model, or both."""
        if options["base_url"]:
            self.fail(f"The provider '{provider.name}' is set up already; Settings, Models changes its address.")
        key = _key(provider.kind, options["key_env"], is_asked=False)
        if default is None and not key:
            ways = "--default MODEL makes one of its models the default, and --key-env VARIABLE gives it another key"
            self.fail(f"The provider '{provider.name}' is set up already: {ways}.")
        if default is None or options["untested"]:
            self._kept(change_provider(provider, {"key": key}) if key else provider, default)
        else:
            self._begun(first_models.begin_again(provider, model=default, key=key, caller="cli"))

    def _kept(self, provider: ModelProvider, default: str | None) -> None:
        """Make the model of a provider the default unasked, where one is wanted."""
        choose = first_models.choose_default
        begun = None if default is None else choose(provider, default, caller="cli", untested=True)
        self._added(provider, begun.model if begun else None, None)

    def _begun(self, begun: first_models.Begun) -> None:
        if begun.model is None:
            kept = f"The provider '{begun.provider.name}' is kept: do the same again with another --default."
            self.fail(f"{begun.trial.problem} ({begun.trial.code}) {kept}")
        self._added(begun.provider, begun.model, begun.trial)

    @subcommand(
        argument("name", metavar="NAME", help="a model's name, or provider/model"),
        argument("--untested", action="store_true", help="make it the default without asking it"),
    )
    def default(self, name: str, untested: bool) -> None:
        """Make a model the default when it answers: what every agent and node asks that names none."""
        if not untested:
            self._answered(name)
        model = first_models.make_default(name)
        self.show_value({"default": model.name, "served_by": f"{model.provider.name}/{model.model}"})

    @subcommand(
        argument("name", metavar="NAME", help="a provider; with --model a model"),
        argument("--model", action="store_true", help="remove what is set up for the model NAME, and no provider"),
    )
    def remove(self, name: str, model: bool) -> None:
        """Remove a provider with its key and its models, or one model."""
        if model:
            setting = selectors.find_model(name)
            self.confirm(f"Nodes that name the model '{name}' fail from then on.{_without([setting])}")
            delete_model(setting)
        else:
            provider = _provider(name)
            models = list(provider.settings.all())
            served = ", ".join(f"'{one.name}'" for one in models) or "no models"
            self.confirm(f"The provider '{provider.name}' goes with its key, and with it {served}.{_without(models)}")
            delete_provider(provider, with_models=True)
        self.show_value({"removed": name})

    @subcommand(argument("name", metavar="NAME", help="a model's name, or provider/model"))
    def test(self, name: str) -> None:
        """Ask a model one short question; it fails where there is no answer."""
        trial = self._answered(name)
        if self.json:
            self.print_json(trial_json(trial))
            return
        self._tell(trial)

    def _answered(self, name: str) -> Trial:
        trial = try_model(self.organization.pk, name, "cli")
        if not trial.is_answered:
            self.fail(f"{trial.problem} ({trial.code})")
        return trial

    def _added(self, provider: ModelProvider, model: ModelSetting | None, trial: Trial | None) -> None:
        if self.json:
            shown = model_view(model.name).model_dump(mode="json") if model else None
            found = provider_json(selectors.find_provider(provider.name))
            self.print_json({"provider": found, "model": shown, "trial": trial_json(trial) if trial else None})
            return
        if trial:
            self._tell(trial)
        default = f", and '{model.name}' is the default" if model else ""
        self.line(f"The provider '{provider.name}' is set up{default}.")
        self.next_step(
            "bin/manage demo --run market-brief" if trial else f"bin/manage models test {_asked(provider, model)}"
        )

    def _tell(self, trial: Trial) -> None:
        cost = f"${usd(trial.usage.cost_micro_usd)}" if trial.usage.is_priced else "price unknown"
        self.line(trial.text)
        tokens = f"{trial.usage.input_tokens} tokens in, {trial.usage.output_tokens} out"
        demo = ", a demo model" if trial.is_demo else ""
        self.note(f"{trial.served_by}{demo}: {trial.seconds:.1f} s, {tokens}, {cost}")

    def _provider_row(self, provider: ModelProvider) -> dict[str, Any]:
        row = provider_json(provider)
        return row if self.json else {**row, "models": ", ".join(one.name for one in provider.settings.all()) or None}

    def _row(self, model: ModelView) -> dict[str, Any]:
        if self.json:
            return model.model_dump(mode="json")
        price = model.price
        return {
            "name": model.name,
            "served_by": f"{model.provider}/{model.model}" if model.provider else "this installation",
            "default": "yes" if model.is_default else "",
            "in": f"${price.input_usd}" if price else "?",
            "out": f"${price.output_usd}" if price else "?",
            "fallbacks": ", ".join(model.fallbacks) or "-",
        }


def _key(kind: str, variable: str | None, *, is_asked: bool = True) -> str:
    """The key, from wherever it is; never from the arguments, which other programs can read.

    Where nobody is to be asked for it there may be none.
    """
    if variable is not None:
        if not (key := os.environ.get(variable, "").strip()):
            raise BadRequest(f"There is no key in the environment variable {variable}.")
        return key
    if needs_address(kind):  # it seldom wants one
        return ""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return getpass.getpass("Key (it is not shown): ") if is_asked else ""


def _provider(name: str) -> ModelProvider:
    try:
        return selectors.find_provider(name)
    except NotFound:
        if selectors.models().filter(name=name).exists():
            raise NotFound(f"There is no provider '{name}', but a model: add --model to remove that.") from None
        raise


def _without(models: list[ModelSetting]) -> str:
    """What is asked instead of the default when that goes."""
    if not any(one.is_default for one in models):
        return ""
    told = f"agents that name no model ask {WITHOUT_ANY}, which plays one by rules, until 'bin/manage models default'"
    return f" The default goes: {told} names another."


def _asked(provider: ModelProvider, model: ModelSetting | None) -> str:
    return model.name if model else f"{provider.name}/MODEL"
