from typing import Any

from apps.common.commands import OrchestraCommand, argument, subcommand
from apps.common.money import usd
from apps.integrations.serializers.models import ModelView, all_models, trial_json
from apps.integrations.services.model_trials import try_model


class Command(OrchestraCommand):
    help = "Shows and tries the language models that an organization can ask."

    @subcommand()
    def list_(self) -> None:
        """List the models by name, with what a million tokens cost."""
        columns = ["name", "served_by", "default", "in", "out", "fallbacks"]
        self.table(map(self._row, all_models()), columns)
        self.next_step("bin/manage models test NAME")

    @subcommand(argument("name", metavar="NAME", help="a model's name, or provider/model"))
    def test(self, name: str) -> None:
        """Ask a model one short question; it fails where there is no answer."""
        trial = try_model(self.organization.pk, name, "cli")
        if not trial.is_answered:
            self.fail(f"{trial.problem} ({trial.code})")
        if self.json:
            self.print_json(trial_json(trial))
            return
        cost = f"${usd(trial.usage.cost_micro_usd)}" if trial.usage.is_priced else "price unknown"
        self.line(trial.text)
        tokens = f"{trial.usage.input_tokens} tokens in, {trial.usage.output_tokens} out"
        demo = ", a demo model" if trial.is_demo else ""
        self.note(f"{trial.served_by}{demo}: {trial.seconds:.1f} s, {tokens}, {cost}")

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
